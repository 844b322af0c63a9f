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


def consistency_loss(logits: Tensor, reference: Tensor) -> Tensor:
    """KL(reference || logits) of two (B, C), mean over cases; the reference has no gradient."""
    return F.kl_div(
        logits.log_softmax(dim=-1),
        reference.detach().log_softmax(dim=-1),
        log_target=True,
        reduction="batchmean",
    )
