"""The part of ALL that joins scales: a path from fine to coarse, gated by the other modalities.

Paper: Xiao et al., 2025, doi 10.1109/TMI.2024.3450682 (abstract): intra- and
inter-modality correlations "fuse multi-scale information" with "focus on the local information of
each modality". Our reading of what it leaves open is in docs/method.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agfnet.models.tokenizer import split_scales
from agfnet.types import Features


class FineToCoarse(nn.Module):
    """The scales of one modality, from the finest to the coarsest.

    At each scale a 3 x 3 convolution reads the tokens and what comes from the finer scale, and is
    added to both. The means of the other modalities' tokens gate its channels: positions are never
    matched across modalities, which show different planes of the skin.

    Args:
        dim: width d of the tokens.
        scales: number S of scales.
        others: number M - 1 of other modalities.
        residual: add the convolution to the tokens and to what comes from the finer scale.
            Otherwise it replaces them.
    """

    def __init__(self, *, dim: int, scales: int, others: int, residual: bool = True) -> None:
        super().__init__()
        self.residual = residual
        self.convolutions = nn.ModuleList(
            nn.Conv2d(dim if s == 0 else 2 * dim, dim, kernel_size=3, padding=1)
            for s in range(scales)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(1, dim) for _ in range(scales))
        self.gates = nn.ModuleList(
            nn.Linear(others * dim, dim) for _ in range(scales if others else 0)
        )

    def forward(self, maps: Sequence[Tensor], others: Sequence[Tensor]) -> Tensor:
        """Return the map (B, d, H_S, W_S) of the coarsest scale.

        Args:
            maps: tokens per scale (B, d, H_s, W_s), finest first.
            others: means of the other modalities' tokens per scale, (B, (M - 1) d).
        """
        path = maps[0]
        for s, feature in enumerate(maps):
            total = feature
            if s > 0:
                finer = F.adaptive_avg_pool2d(path, (feature.shape[2], feature.shape[3]))
                total = feature + finer
                feature = torch.cat([feature, finer], dim=1)
            update = self.norms[s](self.convolutions[s](feature))  # (B, d, H_s, W_s)
            if self.gates:
                update = update * 2 * self.gates[s](others[s]).sigmoid()[..., None, None]
            path = total + F.gelu(update) if self.residual else F.gelu(update)
        return path


class MultiScale(nn.ModuleList):
    """One `FineToCoarse` path per modality.

    Args:
        modalities: number M of modalities.
        dim: width d of the tokens.
        scales: number S of scales.
        residual: as in `FineToCoarse`.
    """

    def __init__(self, *, modalities: int, dim: int, scales: int, residual: bool = True) -> None:
        super().__init__(
            FineToCoarse(dim=dim, scales=scales, others=modalities - 1, residual=residual)
            for _ in range(modalities)
        )

    def forward(self, features: Features) -> list[Tensor]:
        """Return the map (B, d, H_S, W_S) at the end of each modality's path."""
        maps = token_maps(features)
        means = [[feature.mean(dim=(2, 3)) for feature in scales] for scales in maps]
        others = [zip(*means[:m], *means[m + 1 :], strict=True) for m in range(len(maps))]
        return [
            path(maps[m], [torch.cat(vectors, dim=1) for vectors in others[m]])
            for m, path in enumerate(self)
        ]


class CoarsestScale(nn.Module):
    """The tokens of the coarsest scale, in place of `MultiScale`."""

    def forward(self, features: Features) -> list[Tensor]:
        """Return each modality's tokens of the coarsest scale as a map (B, d, H_S, W_S)."""
        return [scales[-1] for scales in token_maps(features)]


def token_maps(features: Features) -> list[list[Tensor]]:
    """Return the tokens as one map (B, d, H_s, W_s) per scale, for each modality."""
    return [
        split_scales(tokens, shapes)
        for tokens, shapes in zip(features.tokens, features.shapes, strict=True)
    ]
