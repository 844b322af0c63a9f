"""Concatenation: pooled features of all modalities and one linear layer, the simplest fusion.

With one modality this is the single-modality baseline.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from agfnet.models.backbone import Backbones
from agfnet.models.heads import Head
from agfnet.models.network import Network
from agfnet.types import Output


class Concatenation(Network):
    """Global average of each backbone's last map, concatenated, then a head.

    The features of a missing modality are zeros.
    """

    def __init__(self, *, backbones: Backbones, classes: int, dropout: float) -> None:
        super().__init__(backbones=backbones)
        dim = sum(channels[-1] for channels in backbones.channels)
        self.head = Head(dim=dim, classes=classes, dropout=dropout)

    def forward(self, images: Sequence[Tensor], present: Tensor) -> Output:
        """Images per modality (B, 3, H, W) and present (B, M) to logits (B, C)."""
        pooled = self.backbones.pooled(images, present)  # M x (B, C_m)
        return Output(logits=self.head(torch.cat(pooled, dim=1)))
