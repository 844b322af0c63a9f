"""MetaBlock-style fusion: features of each modality are gated by those of the others.

Paper: Pacheco and Krohling, "An Attention-Based Mechanism to Combine Images and Metadata in Deep
Learning Models Applied to Skin Cancer Classification", IEEE Journal of Biomedical and Health
Informatics 25(9):3554-3563, 2021.

Faithful: sigmoid(tanh(V * f(U)) + g(U)), with V the last feature map and f, g one linear layer and
a norm each. Adapted: U is the pooled features of the other modalities instead of metadata, and
every modality is gated in this way; LayerNorm instead of batch normalisation, because a batch of
one must train.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from agfnet.models.backbone import Backbones, pool
from agfnet.models.heads import Head
from agfnet.models.network import Network
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


class MetaBlocks(Network):
    """The last map of each modality, gated by the pooled features of the others, then pooled.

    The features of a missing modality are zeros, both as a gate and after gating.
    """

    def __init__(self, *, backbones: Backbones, classes: int, dropout: float) -> None:
        super().__init__(backbones=backbones)
        widths = [channels[-1] for channels in backbones.channels]
        self.blocks = nn.ModuleList(
            MetaBlock(channels=width, dim=sum(widths) - width) for width in widths
        )
        self.head = Head(dim=sum(widths), classes=classes, dropout=dropout)

    def forward(self, images: Sequence[Tensor], present: Tensor) -> Output:
        """Images per modality (B, 3, H, W) and present (B, M) to logits (B, C)."""
        maps = self.backbones.last_maps(images, present)  # M x (B, C_m, H_m, W_m)
        pooled = pool(maps, present)  # M x (B, C_m)
        gated = [
            block(maps[m], torch.cat([*pooled[:m], *pooled[m + 1 :]], dim=1))
            for m, block in enumerate(self.blocks)
        ]
        return Output(logits=self.head(torch.cat(pool(gated, present), dim=1)))
