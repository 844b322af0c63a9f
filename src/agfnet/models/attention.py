"""Primitives that local learning, global learning and reconstruction share."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Shapes = tuple[tuple[int, int], ...]  # (H_s, W_s) per scale, finest first


class Context(NamedTuple):
    """One view in L tokens, at most g x g per scale."""

    tokens: Tensor  # (B, L, d)
    bias: Tensor  # (B, 1, L), how much each of them counts, on a log scale


class CrossAttention(nn.Module):
    """Multi-head attention of queries over a context.

    Args:
        dim: width d of queries and context.
        heads: attention heads; divides `dim`.
        few: the queries are few and the context is long (see `gather`); the result is the same.
    """

    def __init__(self, *, dim: int, heads: int, few: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.few = few
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, queries: Tensor, context: Tensor, bias: Tensor | None = None) -> Tensor:
        """(B, Q, d) and (B, K, d) to (B, Q, d); `bias` (B, Q or 1, K) is added to the scores."""
        q = self.split(self.query(queries))  # (B, h, Q, d/h)
        if self.few:
            return self.out(self.gather(q, context, bias).transpose(1, 2).flatten(2))
        k, v = (self.split(x) for x in self.key_value(context).chunk(2, dim=-1))  # (B, h, K, d/h)
        if bias is not None:
            bias = bias.unsqueeze(1).to(q.dtype)  # (B, 1, Q or 1, K), the same for every head
        return self.out(attend(q, k, v, bias).transpose(1, 2).flatten(2))

    def gather(self, q: Tensor, context: Tensor, bias: Tensor | None) -> Tensor:
        """Queries (B, h, Q, e) read the context (B, K, d) without keys and values for its tokens.

        Each head's query is carried into the space of the tokens instead, and what it gathers there
        back into the head. The bias of the keys would add the same to all scores of a query.
        """
        key, value = (w.unflatten(0, (self.heads, -1)) for w in self.key_value.weight.chunk(2))
        asked = (q.shape[-1] ** -0.5 * q @ key).flatten(1, 2)  # (B, h Q, d)
        scores = (asked @ context.mT).unflatten(1, (self.heads, -1))  # (B, h, Q, K)
        if bias is not None:
            scores = scores + bias.unsqueeze(1)
        found = scores.softmax(dim=-1).flatten(1, 2) @ context  # (B, h Q, d)
        found = found.unflatten(1, (self.heads, -1))  # (B, h, Q, d)
        offset = self.key_value.bias.chunk(2)[1].unflatten(0, (self.heads, 1, -1))
        return found @ value.mT + offset

    def split(self, x: Tensor) -> Tensor:
        """(B, N, d) to (B, heads, N, d/heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """(B, h, Q, e) and (B, h, K, e) to (B, h, Q, e); `bias` (B, 1, Q or 1, K) adds to the scores.

    A mask that learns would put PyTorch on a path that holds all scores (B, h, Q, K) in memory and
    takes twice the time. So a bias that all queries share goes in, as long as it learns, as one
    more channel of the keys, which each query reads with weight 1.
    """
    if bias is None or bias.shape[2] > 1 or not bias.requires_grad:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    width = q.shape[-1]
    q = torch.cat([q * width**-0.5, torch.ones_like(q[..., :1])], dim=-1)
    k = torch.cat([k, bias.mT.expand(-1, k.shape[1], -1, -1)], dim=-1)
    return F.scaled_dot_product_attention(q, k, F.pad(v, (0, 1)), scale=1.0)[..., :width]


class FeedForward(nn.Sequential):
    """LayerNorm and two linear layers with GELU between them."""

    def __init__(self, *, dim: int, ratio: int = 2) -> None:
        super().__init__(
            nn.LayerNorm(dim), nn.Linear(dim, ratio * dim), nn.GELU(), nn.Linear(ratio * dim, dim)
        )


def gain(dim: int, start: float = 0.1) -> nn.Parameter:
    """A weight (d,) for each channel of a residual branch: little of it at the start.

    LayerScale (Touvron et al., 2021, arXiv:2103.17239), with 0.1.
    """
    return nn.Parameter(torch.full((dim,), start))


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


def pool_context(tokens: Tensor, weights: Tensor, shapes: Shapes, grid: int) -> Context:
    """Sum up each scale in g x g cells by weighted average; a smaller map keeps its own cells.

    The more weight lies in a cell, the more it counts when the context is attended to: the bias
    is the logarithm of the cell's mean weight.

    Args:
        tokens: (B, N, d).
        weights: (B, N), 0 to 1; a cell whose weights are all 0 gives a zero token that counts
            next to nothing.
        shapes: (H_s, W_s) per scale.
        grid: side g of the context grid.
    """
    pool = pooling(shapes, grid, tokens)  # (L, N)
    weights = weights.unsqueeze(-1)  # (B, N, 1)
    mass = (pool @ weights).clamp_min(1e-6)  # (B, L, 1)
    return Context(tokens=pool @ (tokens * weights) / mass, bias=mass.log().mT)


def pooling(shapes: Shapes, grid: int, like: Tensor) -> Tensor:
    """The matrix (L, N) that averages the N places of all scales in L cells; type as of `like`."""
    return torch.block_diag(
        *(
            F.adaptive_avg_pool2d(
                torch.eye(height * width, dtype=like.dtype, device=like.device).unflatten(
                    1, (height, width)
                ),
                (min(grid, height), min(grid, width)),
            )
            .flatten(1)
            .T
            for height, width in shapes
        )
    )
