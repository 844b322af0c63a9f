"""Losses as pure functions of logits and tokens."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def reconstruction_loss(reconstructed: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean cosine distance of the masked tokens; tokens are (B, N, d), the mask is (B, N).

    The target receives no gradient. The loss is zero, with a gradient, where nothing is masked.
    """
    distance = 1 - F.cosine_similarity(reconstructed, target.detach(), dim=-1)  # (B, N)
    return (distance * mask).sum() / mask.sum().clamp_min(1)


def focus_loss(guide: Tensor, attribution: Tensor, present: Tensor) -> Tensor:
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
    return ((target * ratio).sum(dim=1) * used).sum() / used.sum().clamp_min(1)


def consistency_loss(logits: Tensor, reference: Tensor) -> Tensor:
    """KL(reference || logits) of two (B, C), mean over cases; the reference has no gradient."""
    return F.kl_div(
        logits.log_softmax(dim=-1),
        reference.detach().log_softmax(dim=-1),
        log_target=True,
        reduction="batchmean",
    )
