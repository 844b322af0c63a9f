"""The context of a modality: its tokens at all scales, averaged in a coarse grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from agfnet.types import Shapes


class Context(NamedTuple):
    """A modality in L tokens, at most g x g per scale."""

    tokens: Tensor  # (B, L, d)
    bias: Tensor  # (B, 1, L), logarithm of the weight of each token, added to attention scores


def pool_context(tokens: Tensor, weights: Tensor, shapes: Shapes, grid: int) -> Context:
    """Average each scale in g x g cells by weight; a smaller map keeps its own cells.

    The bias of a cell is the logarithm of its mean weight, so that attention to it grows with the
    weight that lies in it.

    Args:
        tokens: (B, N, d).
        weights: (B, N), 0 to 1; a cell whose weights are all 0 gives a zero token with next to no
            attention.
        shapes: (H_s, W_s) per scale.
        grid: side g of the context grid.
    """
    pool = pooling_matrix(shapes, grid, tokens)  # (L, N)
    weights = weights.unsqueeze(-1)  # (B, N, 1)
    mass = (pool @ weights).clamp_min(1e-6)  # (B, L, 1)
    return Context(tokens=pool @ (tokens * weights) / mass, bias=mass.log().mT)


def pool_contexts(
    tokens: Sequence[Tensor], weights: Sequence[Tensor], shapes: Sequence[Shapes], grid: int
) -> list[Context]:
    """Return the context of every modality."""
    return [
        pool_context(token, weight, shape, grid)
        for token, weight, shape in zip(tokens, weights, shapes, strict=True)
    ]


def concatenate_contexts(contexts: Sequence[Context]) -> Context:
    """Return several contexts as one."""
    return Context(
        tokens=torch.cat([context.tokens for context in contexts], dim=1),
        bias=torch.cat([context.bias for context in contexts], dim=2),
    )


def pooled_shapes(shapes: Shapes, grid: int) -> Shapes:
    """Return the sizes of the grids that `pool_context` makes of maps."""
    return tuple((min(grid, height), min(grid, width)) for height, width in shapes)


def pooling_matrix(shapes: Shapes, grid: int, like: Tensor) -> Tensor:
    """Return the matrix (L, N) that averages the N tokens of all scales in L cells.

    Its type and device are those of `like`.
    """
    return torch.block_diag(
        *(
            F.adaptive_avg_pool2d(
                torch.eye(height * width, dtype=like.dtype, device=like.device).unflatten(
                    1, (height, width)
                ),
                cells,
            )
            .flatten(1)
            .T
            for (height, width), cells in zip(shapes, pooled_shapes(shapes, grid), strict=True)
        )
    )
