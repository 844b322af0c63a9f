"""Late fusion: one network per modality, and the mean of their logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from agfnet.models.backbone import Backbones
from agfnet.models.heads import Head
from agfnet.models.network import Network
from agfnet.types import Output


class LateFusion(Network):
    """A head on the global average of each backbone's last map, and the mean of their logits.

    A missing modality is left out of the mean. The logits of each modality are supervised as well.
    """

    def __init__(self, *, backbones: Backbones, classes: int, dropout: float) -> None:
        super().__init__(backbones=backbones)
        self.heads = nn.ModuleList(
            Head(dim=channels[-1], classes=classes, dropout=dropout)
            for channels in backbones.channels
        )

    def forward(self, images: Sequence[Tensor], present: Tensor) -> Output:
        """Images per modality (B, 3, H, W) and present (B, M) to logits (B, C)."""
        pooled = self.backbones.pooled(images, present)  # M x (B, C_m)
        logits = tuple(head(x) for head, x in zip(self.heads, pooled, strict=True))
        return Output(logits=mean_logits(logits, present), auxiliary=logits)


def mean_logits(logits: Sequence[Tensor], present: Tensor) -> Tensor:
    """Mean of K logits (B, C) over those that are present (B, K)."""
    weights = present / present.sum(dim=1, keepdim=True).clamp_min(1)  # (B, K)
    return (torch.stack(tuple(logits), dim=1) * weights[..., None]).sum(dim=1)
