"""What FRL rebuilds hidden tokens with; a network may keep it to stand in for a missing view."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from agfnet.models.attention import CrossAttention, FeedForward, PositionEmbedding
from agfnet.models.local_learning import contexts, join
from agfnet.types import Features


class Decoder(nn.Module):
    """Rebuilds hidden tokens: each asks the visible context what should be there.

    Args:
        modalities: number M of views.
        dim: token width d.
        heads: attention heads; divides `dim`.
        grid: side g of the context grid.
        scales: number S of scales.
        across: ask the context of all views; otherwise of the own view only.
    """

    def __init__(
        self, *, modalities: int, dim: int, heads: int, grid: int, scales: int, across: bool = True
    ) -> None:
        super().__init__()
        self.grid = grid
        self.across = across
        self.hidden = nn.Parameter(0.02 * torch.randn(modalities, dim))
        self.embed = nn.ModuleList(
            PositionEmbedding(dim=dim, grid=grid, scales=scales) for _ in range(modalities)
        )
        self.norm = nn.LayerNorm(dim)
        self.read = CrossAttention(dim=dim, heads=heads)
        self.feed_forward = FeedForward(dim=dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, features: Features, hidden: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Tokens per modality (B, N, d), rebuilt where `hidden` (B, N) and as they were elsewhere.

        Nothing hidden is read.
        """
        visible = [
            guide * ~mask for guide, mask in zip(features.guides, hidden, strict=True)
        ]  # (B, N)
        views = contexts(features.tokens, visible, features.shapes, self.grid)
        together = join(views)
        rebuilt = []
        for m, (tokens, mask) in enumerate(zip(features.tokens, hidden, strict=True)):
            context = together if self.across else views[m]
            asked = self.hidden[m] + self.embed[m](features.shapes[m])  # (1, N, d)
            asked = asked.expand(tokens.shape[0], -1, -1)
            answer = asked + self.read(asked, self.norm(context.tokens), context.bias)
            answer = self.out(answer + self.feed_forward(answer))
            rebuilt.append(torch.where(mask[..., None], answer, tokens))
        return tuple(rebuilt)
