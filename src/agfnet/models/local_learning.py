"""ALL, attention-guided local learning: what each place of a view can learn from its surroundings.

Paper: Xiao et al., IEEE TMI 44(1):543-555, 2025, doi 10.1109/TMI.2024.3450682 (abstract): "intra-
and inter-modality correlations to fuse multi-scale information", with "focus on the local
information of each modality". Our reading of what it leaves open is in docs/method.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from agfnet.models.attention import (
    CrossAttention,
    FeedForward,
    PositionEmbedding,
    Shapes,
    pool_context,
)


class Tokens(nn.Module):
    """Feature maps of one modality to tokens, with a guide that says where it sees evidence.

    A case without this view gets a learned `absent` token everywhere instead.
    """

    def __init__(self, *, channels: Sequence[int], dim: int, grid: int) -> None:
        super().__init__()
        self.project = nn.ModuleList(nn.Conv2d(c, dim, kernel_size=1) for c in channels)
        self.norm = nn.ModuleList(nn.LayerNorm(dim) for _ in channels)
        self.embed = PositionEmbedding(dim=dim, grid=grid, scales=len(channels))
        self.absent = nn.Parameter(0.02 * torch.randn(dim))
        self.guide = nn.Linear(dim, 1)

    def forward(self, maps: Sequence[Tensor], present: Tensor) -> tuple[Tensor, Tensor, Shapes]:
        """Maps (B, C_s, H_s, W_s), present (B,) to tokens (B, N, d), guide (B, N) and shapes."""
        shapes = tuple((int(m.shape[2]), int(m.shape[3])) for m in maps)
        tokens = torch.cat(
            [
                norm(project(feature).flatten(2).mT)
                for project, norm, feature in zip(self.project, self.norm, maps, strict=True)
            ],
            dim=1,
        )  # (B, N, d)
        tokens = torch.where(present[:, None, None], tokens, self.absent)
        tokens = tokens + self.embed(shapes)
        guide = self.guide(tokens).squeeze(-1).sigmoid()  # (B, N)
        return tokens, guide, shapes


class LocalLearning(nn.Module):
    """Intra- and inter-modality attention of one modality's tokens, at all scales at once.

    T' = T + g_intra * MHA(T, own context) + g_inter * MHA(T, contexts of the other modalities)
    T'' = T' + FFN(T')

    A context is the guide-weighted summary of all scales of a view (see `pool_context`), so every
    place can consult every scale of both views at a cost linear in pixels. The views show different
    planes of the skin, so positions are never matched across them. Scales share these weights and
    are told apart by their embeddings.
    """

    def __init__(self, *, dim: int, heads: int, inter: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.intra = CrossAttention(dim=dim, heads=heads)
        self.gain_intra = nn.Parameter(torch.full((dim,), 0.1))
        self.inter = CrossAttention(dim=dim, heads=heads) if inter else None
        self.gain_inter = nn.Parameter(torch.full((dim,), 0.1)) if inter else None
        self.feed_forward = FeedForward(dim=dim)

    def forward(self, tokens: Tensor, own: Tensor, others: Sequence[Tensor]) -> Tensor:
        """Tokens (B, N, d), own context (B, L, d), others' contexts to tokens (B, N, d)."""
        queries = self.norm(tokens)
        tokens = tokens + self.gain_intra * self.intra(queries, own)
        if self.inter is not None:
            tokens = tokens + self.gain_inter * self.inter(queries, torch.cat([*others], dim=1))
        return tokens + self.feed_forward(tokens)


def contexts(
    tokens: Sequence[Tensor], weights: Sequence[Tensor], shapes: Sequence[Shapes], grid: int
) -> list[Tensor]:
    """The context (B, S * g * g, d) of every modality."""
    return [
        pool_context(token, weight, shape, grid)
        for token, weight, shape in zip(tokens, weights, shapes, strict=True)
    ]
