"""Losses as pure functions of logits, labels and tokens."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from agfnet.training.processes import ALONE, World


def reconstruction_loss(
    reconstructed: Tensor, target: Tensor, mask: Tensor, world: World = ALONE
) -> Tensor:
    """Mean cosine distance of the masked tokens; tokens are (B, N, d), the mask is (B, N).

    The target receives no gradient. The loss is zero, with a gradient, where nothing is masked.
    """
    distance = 1 - F.cosine_similarity(reconstructed, target.detach(), dim=-1)  # (B, N)
    return world.mean((distance * mask).sum(), mask.sum(), len(mask))


def focus_loss(guide: Tensor, attribution: Tensor, present: Tensor, world: World = ALONE) -> Tensor:
    """KL(attribution || guide) of their distributions over positions, mean over cases.

    Both are (B, N), 0 or more, and `present` is (B,). The attribution has no gradient. Cases that
    are not present or have no attribution are left out.
    """
    attribution = attribution.detach()
    amount = attribution.sum(dim=1, keepdim=True)
    target = attribution / amount.clamp_min(1e-12)
    estimate = guide / guide.sum(dim=1, keepdim=True).clamp_min(1e-12)
    ratio = target.clamp_min(1e-12).log() - estimate.clamp_min(1e-12).log()
    used = present & (amount.squeeze(1) > 1e-12)
    return world.mean(((target * ratio).sum(dim=1) * used).sum(), used.sum(), len(used))


def consistency_loss(logits: Tensor, reference: Tensor) -> Tensor:
    """KL(reference || logits) of two (B, C), mean over cases; the reference has no gradient."""
    return F.kl_div(
        logits.log_softmax(dim=-1),
        reference.detach().log_softmax(dim=-1),
        log_target=True,
        reduction="batchmean",
    )


def focal_factor(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    """(1 - p)^gamma of the true class's probability p, (B,) of logits (B, C) and labels (B,).

    Lin et al., 2017, arXiv:1708.02002, equation 4.
    """
    missed = 1 - logits.softmax(dim=1).gather(1, labels[:, None]).squeeze(1)
    return missed.clamp_min(1e-6) ** gamma


def ldam_margins(counts: Tensor, largest: float) -> Tensor:
    """Margins (C,) that fall with the fourth root of the cases per class (C,).

    Cao et al., 2019, arXiv:1906.07413, equation 13; the rarest class has the largest margin.
    """
    margins = counts.clamp_min(1).double() ** -0.25
    return (largest * margins / margins.max()).float()


def adjusted(logits: Tensor, labels: Tensor, margins: Tensor | None) -> Tensor:
    """Subtract the margin (C,) of the true class from its logit; unchanged without margins."""
    if margins is None:
        return logits
    margin = margins[labels][:, None]
    return logits.scatter_add(1, labels[:, None], -margin.to(logits.dtype))


def log_priors(counts: Tensor) -> Tensor:
    """Return log class frequencies (C,) of the cases per class (C,)."""
    frequencies = counts.clamp_min(1).double()
    return torch.log(frequencies / frequencies.sum()).float()
