"""MetaBlock-style fusion: the other views say which features of a view count.

Paper: Pacheco and Krohling, "An Attention-Based Mechanism to Combine Images and Metadata in Deep
Learning Models Applied to Skin Cancer Classification", IEEE Journal of Biomedical and Health
Informatics 25(9):3554-3563, 2021.

Faithful: sigmoid(tanh(V * f(U)) + g(U)), with V the last feature map and f, g one linear layer and
a norm each. Adapted: U is not metadata but the pooled features of the other views, and every view
is gated so; LayerNorm instead of batch normalisation, since a batch of one must train.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from agfnet.models.backbone import Backbone, Backbones, pool
from agfnet.models.heads import Head
from agfnet.types import Output


class MetaBlock(nn.Module):
    """sigmoid(tanh(V * f(U)) + g(U)) of a map V with C channels and a vector U of width `dim`."""

    def __init__(self, *, channels: int, dim: int) -> None:
        super().__init__()
        self.scale = nn.Sequential(nn.Linear(dim, channels), nn.LayerNorm(channels))
        self.shift = nn.Sequential(nn.Linear(dim, channels), nn.LayerNorm(channels))

    def forward(self, feature: Tensor, other: Tensor) -> Tensor:
        """Map (B, C, H, W) and vector (B, dim) to a map (B, C, H, W)."""
        scale, shift = (part(other)[..., None, None] for part in (self.scale, self.shift))
        return ((feature * scale).tanh() + shift).sigmoid()


class MetaBlocks(nn.Module):
    """Each view's last map gated by the pooled features of the others, pooled, concatenated.

    A missing view enters as zeros, both where it gates and where it is gated.
    """

    def __init__(
        self, *, backbones: Sequence[Backbone], modalities: int, classes: int, dropout: float
    ) -> None:
        super().__init__()
        self.backbones = Backbones(backbones, modalities=modalities)
        widths = [channels[-1] for channels in self.backbones.channels]
        self.blocks = nn.ModuleList(
            MetaBlock(channels=width, dim=sum(widths) - width) for width in widths
        )
        self.head = Head(dim=sum(widths), classes=classes, dropout=dropout)

    def forward(self, images: Sequence[Tensor], present: Tensor) -> Output:
        """Images per modality (B, 3, H, W) and present (B, M) to logits (B, C)."""
        maps = [found[-1] for found in self.backbones(images, present)]  # M x (B, C_m, H_m, W_m)
        pooled = pool(maps, present)  # M x (B, C_m)
        gated = [
            block(maps[m], torch.cat([*pooled[:m], *pooled[m + 1 :]], dim=1))
            for m, block in enumerate(self.blocks)
        ]
        return Output(logits=self.head(torch.cat(pool(gated, present), dim=1)))
