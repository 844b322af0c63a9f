"""Losses as pure functions of logits and tokens."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def cosine_distance(rebuilt: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean of 1 - cos over the masked tokens; rebuilt and target (B, N, d), mask (B, N).

    The target carries no gradient. Zero, with a gradient, where nothing is masked.
    """
    distance = 1 - F.cosine_similarity(rebuilt, target.detach(), dim=-1)  # (B, N)
    return (distance * mask).sum() / mask.sum().clamp_min(1)


def agreement(logits: Tensor, reference: Tensor) -> Tensor:
    """KL(reference || logits), both (B, C), mean over cases; the reference carries no gradient."""
    return F.kl_div(
        logits.log_softmax(dim=-1),
        reference.detach().log_softmax(dim=-1),
        log_target=True,
        reduction="batchmean",
    )
