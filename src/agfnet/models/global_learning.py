"""AGL, attention-guided global learning: fuse all modalities, and enhance each one's features.

Paper: Xiao et al., 2025, doi 10.1109/TMI.2024.3450682 (abstract): AGL "fuses
global information to further enhance the feature representation". Our reading of what it leaves
open is in docs/method.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor, nn


class Correlation(nn.Module):
    """Products of the modalities' vectors: what only two modalities together can tell.

    A sum over modalities cannot answer a question such as "do both views agree?"; a product can
    (exclusive or). The signed square root keeps the scale of a product of two vectors at that of
    one vector (Lin et al., 2015, arXiv:1504.07889); with three modalities or more, the products of
    all pairs are added.

    Args:
        modalities: number M >= 2 of modalities.
        dim: width d of the vectors.
    """

    def __init__(self, *, modalities: int, dim: int) -> None:
        super().__init__()
        self.factors = nn.ModuleList(nn.Linear(dim, dim) for _ in range(modalities))
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, vectors: Sequence[Tensor]) -> Tensor:
        """Vectors M x (B, d) to the correlation term (B, d)."""
        factors = [factor(x) for factor, x in zip(self.factors, vectors, strict=True)]
        product = torch.stack([a * b for a, b in combinations(factors, 2)]).sum(dim=0)
        return self.out(self.norm(signed_root(product)))


class GlobalLearning(nn.Module):
    """Fuse the modalities' vectors, and let the fused vector gate each modality's own features.

    Args:
        channels: C_m of each modality's last feature map.
        dim: width d of the vectors.
        correlation: add the correlation term to the fused vector (with two modalities or more).
        enhance: gate the features of each modality.
    """

    def __init__(
        self, *, channels: Sequence[int], dim: int, correlation: bool = True, enhance: bool = True
    ) -> None:
        super().__init__()
        modalities = len(channels)
        self.fuse = nn.Linear(modalities * dim, dim)
        self.correlation = (
            Correlation(modalities=modalities, dim=dim) if correlation and modalities > 1 else None
        )
        self.gates = nn.ModuleList(nn.Linear(dim, c) for c in channels) if enhance else None

    def forward(
        self, vectors: Sequence[Tensor], pooled: Sequence[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the fused vector (B, d) and the enhanced features M x (B, C_m).

        Args:
            vectors: what local learning found in each modality, M x (B, d).
            pooled: global averages of the last feature maps, M x (B, C_m).
        """
        fused = self.fuse(torch.cat(list(vectors), dim=1))
        if self.correlation is not None:
            fused = fused + self.correlation(vectors)
        if self.gates is None:
            return fused, list(pooled)
        gated = [
            features * 2 * gate(fused).sigmoid()
            for features, gate in zip(pooled, self.gates, strict=True)
        ]
        return fused, gated


def signed_root(x: Tensor, offset: float = 1e-6) -> Tensor:
    """sign(x) sqrt(|x|), with a finite gradient at 0."""
    return x.sign() * ((x.abs() + offset).sqrt() - offset**0.5)
