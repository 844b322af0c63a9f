"""Primitives that local learning, global learning and reconstruction share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Shapes = tuple[tuple[int, int], ...]  # (H_s, W_s) per scale, finest first


class CrossAttention(nn.Module):
    """Multi-head attention of queries over a context, through `scaled_dot_product_attention`."""

    def __init__(self, *, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, queries: Tensor, context: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, Q, d) and (B, K, d) to (B, Q, d); a query looks where `mask` (Q, K) is True."""
        q = self.split(self.query(queries))  # (B, h, Q, d/h)
        k, v = (self.split(x) for x in self.key_value(context).chunk(2, dim=-1))  # (B, h, K, d/h)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(attended.transpose(1, 2).flatten(2))

    def split(self, x: Tensor) -> Tensor:
        """(B, N, d) to (B, heads, N, d/heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class FeedForward(nn.Sequential):
    """LayerNorm and two linear layers with GELU between them."""

    def __init__(self, *, dim: int, ratio: int = 2) -> None:
        super().__init__(
            nn.LayerNorm(dim), nn.Linear(dim, ratio * dim), nn.GELU(), nn.Linear(ratio * dim, dim)
        )


class PositionEmbedding(nn.Module):
    """Where a token lies: a learned grid, interpolated to any size, plus one vector per scale."""

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


def split_scales(tokens: Tensor, shapes: Shapes) -> list[Tensor]:
    """Tokens (B, N, d) of all scales to one map (B, d, H_s, W_s) per scale."""
    parts = tokens.split([height * width for height, width in shapes], dim=1)
    return [part.mT.unflatten(2, shape) for part, shape in zip(parts, shapes, strict=True)]


def pool_context(tokens: Tensor, weights: Tensor, shapes: Shapes, grid: int) -> Tensor:
    """Sum up each scale in grid x grid context tokens by weighted average.

    Args:
        tokens: (B, N, d).
        weights: (B, N), at least 0; a cell whose weights are all 0 gives a zero token.
        shapes: (H_s, W_s) per scale.
        grid: side g of the context grid.

    Returns:
        (B, S * g * g, d).
    """
    weights = weights.unsqueeze(-1)  # (B, N, 1)
    pooled = [
        F.adaptive_avg_pool2d(feature, grid) / F.adaptive_avg_pool2d(weight, grid).clamp_min(1e-6)
        for feature, weight in zip(
            split_scales(tokens * weights, shapes), split_scales(weights, shapes), strict=True
        )
    ]
    return torch.cat([context.flatten(2).mT for context in pooled], dim=1)
