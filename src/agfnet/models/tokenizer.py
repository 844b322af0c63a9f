"""Feature maps of one modality to tokens with position embeddings and a guide."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agfnet.types import Shapes


class Tokenizer(nn.Module):
    """Tokens of one modality at all scales, and a guide that weighs them.

    A case without this modality gets a learned `absent` token at every position. Without `guided`
    all tokens have the weight 1.

    Args:
        channels: C_s of each feature map, finest first.
        dim: token width d.
        grid: side of the position embedding.
        guided: learn a guide, a weight in (0, 1) for each token.
        convolution: tokens see their neighbours, by a 3 x 3 convolution with GroupNorm and GELU.
        residual: add that convolution to the linear projection with LayerNorm, T + conv(T), so that
            the backbone and the heads are also joined by a way without it. Otherwise the
            convolution takes the place of LayerNorm.
        max_size: largest height and width of a feature map; larger maps are averaged in blocks.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int],
        dim: int,
        grid: int,
        guided: bool,
        convolution: bool = False,
        residual: bool = True,
        max_size: int | None = None,
    ) -> None:
        super().__init__()
        self.max_size = max_size
        replaced = convolution and not residual
        self.project = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, dim, kernel_size=1), *local_convolution(dim))
            if replaced
            else nn.Conv2d(c, dim, kernel_size=1)
            for c in channels
        )
        self.norm = nn.ModuleList(
            nn.Identity() if replaced else nn.LayerNorm(dim) for _ in channels
        )
        self.neighbours = (
            nn.ModuleList(local_convolution(dim) for _ in channels)
            if convolution and residual
            else None
        )
        self.embed = PositionEmbedding(dim=dim, grid=grid, scales=len(channels))
        self.absent = nn.Parameter(0.02 * torch.randn(dim))
        self.guide = nn.Linear(dim, 1) if guided else None

    def forward(self, maps: Sequence[Tensor], present: Tensor) -> tuple[Tensor, Tensor, Shapes]:
        """Maps (B, C_s, H_s, W_s), present (B,) to tokens (B, N, d), guide (B, N) and shapes."""
        if self.max_size is not None:
            maps = [pool_to_max_size(feature, self.max_size) for feature in maps]
        shapes = tuple((int(m.shape[2]), int(m.shape[3])) for m in maps)
        tokens = torch.cat([self.tokens_of(s, feature) for s, feature in enumerate(maps)], dim=1)
        tokens = torch.where(present[:, None, None], tokens, self.absent)
        tokens = tokens + self.embed(shapes)
        if self.guide is None:
            return tokens, torch.ones_like(tokens[..., 0]), shapes
        return tokens, self.guide(tokens).squeeze(-1).sigmoid(), shapes

    def tokens_of(self, scale: int, feature: Tensor) -> Tensor:
        """Map (B, C_s, H, W) of one scale to its tokens (B, H W, d)."""
        tokens = self.norm[scale](self.project[scale](feature).flatten(2).mT)
        if self.neighbours is None:
            return tokens
        local = self.neighbours[scale](tokens.mT.unflatten(2, feature.shape[2:]))
        return tokens + local.flatten(2).mT


class PositionEmbedding(nn.Module):
    """A learned grid of positions, interpolated to any size, plus one vector per scale."""

    def __init__(self, *, dim: int, grid: int, scales: int) -> None:
        super().__init__()
        self.position = nn.Parameter(0.02 * torch.randn(1, dim, grid, grid))
        self.scale = nn.Parameter(0.02 * torch.randn(scales, dim))

    def forward(self, shapes: Shapes) -> Tensor:
        """Embeddings (1, N, d) for the tokens of all scales."""
        return torch.cat(
            [
                F.interpolate(self.position, size=shape, mode="bilinear").flatten(2).mT + scale
                for shape, scale in zip(shapes, self.scale, strict=True)
            ],
            dim=1,
        )


def local_convolution(dim: int) -> nn.Sequential:
    """Return a 3 x 3 convolution of maps (B, d, H, W), GroupNorm of one group, and GELU."""
    return nn.Sequential(
        nn.Conv2d(dim, dim, kernel_size=3, padding=1), nn.GroupNorm(1, dim), nn.GELU()
    )


def pool_to_max_size(feature: Tensor, max_size: int) -> Tensor:
    """Average a map (B, C, H, W) in equal blocks so that no side is longer than `max_size`."""
    height, width = int(feature.shape[2]), int(feature.shape[3])
    block = -(-max(height, width) // max_size)
    if block == 1:
        return feature
    return F.adaptive_avg_pool2d(feature, (-(-height // block), -(-width // block)))


def split_scales(tokens: Tensor, shapes: Shapes) -> list[Tensor]:
    """Split tokens (B, N, d) of all scales into one map (B, d, H_s, W_s) per scale."""
    parts = tokens.split([height * width for height, width in shapes], dim=1)
    return [part.mT.unflatten(2, shape) for part, shape in zip(parts, shapes, strict=True)]
