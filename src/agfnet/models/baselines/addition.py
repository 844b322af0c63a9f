"""Sum: every view's pooled features brought to one width and added."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from agfnet.models.backbone import Backbone, Backbones
from agfnet.models.heads import Head
from agfnet.types import Output


class Addition(nn.Module):
    """Global average of each backbone's last map, projected to width d, added, then a head.

    A missing view adds nothing.
    """

    def __init__(
        self,
        *,
        backbones: Sequence[Backbone],
        modalities: int,
        classes: int,
        dropout: float,
        dim: int,
    ) -> None:
        super().__init__()
        self.backbones = Backbones(backbones, modalities=modalities)
        self.project = nn.ModuleList(
            nn.Linear(channels[-1], dim) for channels in self.backbones.channels
        )
        self.head = Head(dim=dim, classes=classes, dropout=dropout)

    def forward(self, images: Sequence[Tensor], present: Tensor) -> Output:
        """Images per modality (B, 3, H, W) and present (B, M) to logits (B, C)."""
        pooled = self.backbones.pooled(images, present)  # M x (B, C_m)
        projected = [project(x) for project, x in zip(self.project, pooled, strict=True)]
        total = (torch.stack(projected, dim=1) * present[..., None]).sum(dim=1)  # (B, d)
        return Output(logits=self.head(total))
