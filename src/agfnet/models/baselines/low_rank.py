"""Low-rank tensor fusion (LMF): all products of the modalities' features, by low-rank factors.

Paper: Liu, Shen, Lakshminarasimhan, Liang, Zadeh and Morency, "Efficient Low-rank Multimodal Fusion
With Modality-Specific Factors", ACL 2018, arXiv:1806.00064.

Faithful: a 1 is appended to the vector of each modality, so that products of fewer modalities take
part; one set of rank-r factors per modality; the factors' outputs are multiplied over the
modalities and summed over the rank. Adapted: the vector of a modality is its pooled features,
projected to width d and normalised (a product of unscaled features is unbounded), and a head with
LayerNorm reads the result.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from agfnet.models.backbone import Backbones
from agfnet.models.heads import Head
from agfnet.models.network import Network
from agfnet.types import Output


class LowRank(Network):
    """The weight tensor of a bilinear (M-linear) layer as a sum of `rank` outer products.

    A missing modality is zeros with the 1 appended: only the products without it remain.
    """

    def __init__(
        self, *, backbones: Backbones, classes: int, dropout: float, dim: int, rank: int = 4
    ) -> None:
        super().__init__(backbones=backbones)
        self.project = nn.ModuleList(
            nn.Sequential(nn.Linear(channels[-1], dim), nn.LayerNorm(dim))
            for channels in backbones.channels
        )
        # the bias is the factor's row for the appended 1
        self.factors = nn.ModuleList(nn.Linear(dim, rank * dim) for _ in backbones.channels)
        self.rank = rank
        self.head = Head(dim=dim, classes=classes, dropout=dropout)

    def forward(self, images: Sequence[Tensor], present: Tensor) -> Output:
        """Images per modality (B, 3, H, W) and present (B, M) to logits (B, C)."""
        pooled = self.backbones.pooled(images, present)  # M x (B, C_m)
        vectors = [
            project(x) * present[:, m, None]
            for m, (project, x) in enumerate(zip(self.project, pooled, strict=True))
        ]
        return Output(logits=self.head(self.fuse(vectors)))

    def fuse(self, vectors: Sequence[Tensor]) -> Tensor:
        """One vector (B, d) per modality to (B, d)."""
        parts = (factor(x) for factor, x in zip(self.factors, vectors, strict=True))
        product = functools.reduce(torch.mul, parts)  # (B, rank * d)
        return product.unflatten(1, (self.rank, -1)).sum(dim=1)
