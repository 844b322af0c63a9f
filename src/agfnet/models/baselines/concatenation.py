"""Concatenation: pooled features of all modalities and a head, the simplest fusion.

With one modality this is the single-modality baseline. With a hidden layer it is the control for
methods that fuse by more than a linear layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from agfnet.models.backbone import Backbones
from agfnet.models.heads import Head
from agfnet.models.network import Network
from agfnet.types import Output


class Concatenation(Network):
    """Global average of each backbone's last map, concatenated, then a head.

    The features of a missing modality are zeros.

    Args:
        backbones: one per modality, or one that all of them share.
        classes: number C of classes.
        dropout: dropout before each linear layer of the head.
        dim: width of a hidden layer with GELU before the head; without it the head is linear.
    """

    def __init__(
        self, *, backbones: Backbones, classes: int, dropout: float, dim: int | None = None
    ) -> None:
        super().__init__(backbones=backbones)
        width = sum(channels[-1] for channels in backbones.channels)
        self.head = Head(dim=width, classes=dim or classes, dropout=dropout)
        if dim is not None:
            self.head.extend([nn.GELU(), nn.Dropout(dropout), nn.Linear(dim, classes)])

    def forward(self, images: Sequence[Tensor], present: Tensor) -> Output:
        """Images per modality (B, 3, H, W) and present (B, M) to logits (B, C)."""
        pooled = self.backbones.pooled(images, present)  # M x (B, C_m)
        return Output(logits=self.head(torch.cat(pooled, dim=1)))
