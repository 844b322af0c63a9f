"""Addition: the pooled features of all modalities are projected to one width and added."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from agfnet.models.backbone import Backbones
from agfnet.models.heads import Head
from agfnet.models.network import Network
from agfnet.types import Output


class Addition(Network):
    """Global average of each backbone's last map, projected to width d, added, then a head.

    A missing modality adds nothing.
    """

    def __init__(self, *, backbones: Backbones, classes: int, dropout: float, dim: int) -> None:
        super().__init__(backbones=backbones)
        self.project = nn.ModuleList(
            nn.Linear(channels[-1], dim) for channels in backbones.channels
        )
        self.head = Head(dim=dim, classes=classes, dropout=dropout)

    def forward(self, images: Sequence[Tensor], present: Tensor) -> Output:
        """Images per modality (B, 3, H, W) and present (B, M) to logits (B, C)."""
        pooled = self.backbones.pooled(images, present)  # M x (B, C_m)
        projected = [project(x) for project, x in zip(self.project, pooled, strict=True)]
        total = (torch.stack(projected, dim=1) * present[..., None]).sum(dim=1)  # (B, d)
        return Output(logits=self.head(total))
