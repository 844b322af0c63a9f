"""Concatenation: pooled features side by side and one linear layer, the plainest fusion.

With one modality this is the single-modality baseline.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from agfnet.models.backbone import Backbone, Backbones
from agfnet.models.heads import Head
from agfnet.types import Output


class Concatenation(nn.Module):
    """Global average of each backbone's last map, concatenated, then a head.

    A missing view enters as zeros.
    """

    def __init__(
        self, *, backbones: Sequence[Backbone], modalities: int, classes: int, dropout: float
    ) -> None:
        super().__init__()
        self.backbones = Backbones(backbones, modalities=modalities)
        dim = sum(channels[-1] for channels in self.backbones.channels)
        self.head = Head(dim=dim, classes=classes, dropout=dropout)

    def forward(self, images: Sequence[Tensor], present: Tensor) -> Output:
        """Images per modality (B, 3, H, W) and present (B, M) to logits (B, C)."""
        pooled = self.backbones.pooled(images, present)  # M x (B, C_m)
        return Output(logits=self.head(torch.cat(pooled, dim=1)))
