"""ALL, attention-guided local learning: what each place of a view can learn from its surroundings.

Paper: Xiao et al., IEEE TMI 44(1):543-555, 2025, doi 10.1109/TMI.2024.3450682 (abstract): "intra-
and inter-modality correlations to fuse multi-scale information", with "focus on the local
information of each modality". Our reading of what it leaves open is in docs/method.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agfnet.models.attention import (
    Context,
    CrossAttention,
    FeedForward,
    PositionEmbedding,
    Shapes,
    gain,
    pool_context,
)


class Tokens(nn.Module):
    """Feature maps of one modality to tokens, with a guide that says where it sees evidence.

    A case without this view gets a learned `absent` token everywhere instead. Without `guided`
    every token counts alike.
    """

    def __init__(self, *, channels: Sequence[int], dim: int, grid: int, guided: bool) -> None:
        super().__init__()
        self.project = nn.ModuleList(nn.Conv2d(c, dim, kernel_size=1) for c in channels)
        self.norm = nn.ModuleList(nn.LayerNorm(dim) for _ in channels)
        self.embed = PositionEmbedding(dim=dim, grid=grid, scales=len(channels))
        self.absent = nn.Parameter(0.02 * torch.randn(dim))
        self.guide = nn.Linear(dim, 1) if guided else None

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
        if self.guide is None:
            return tokens, torch.ones_like(tokens[..., 0]), shapes
        return tokens, self.guide(tokens).squeeze(-1).sigmoid(), shapes


class LocalLearning(nn.Module):
    """Intra- and inter-modality attention of one modality's tokens, at all scales at once.

    T' = T + g_intra * MHA(T, own context) + g_inter * MHA(T, contexts of the other modalities)
    T'' = T' + g_ffn * FFN(T')

    A context is the guide-weighted summary of all scales of a view (see `pool_context`), so every
    place can consult every scale of both views at a cost linear in pixels. The views show different
    planes of the skin, so positions are never matched across them. Scales share these weights and
    are told apart by their embeddings.

    Args:
        dim: token width d.
        heads: attention heads; divides `dim`.
        intra: attend to the own context.
        inter: attend to the contexts of the other modalities.
    """

    def __init__(self, *, dim: int, heads: int, intra: bool, inter: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim) if intra or inter else None
        self.intra = CrossAttention(dim=dim, heads=heads) if intra else None
        self.gain_intra = gain(dim) if intra else None
        self.inter = CrossAttention(dim=dim, heads=heads) if inter else None
        self.gain_inter = gain(dim) if inter else None
        self.feed_forward = FeedForward(dim=dim)
        self.gain_feed_forward = gain(dim)

    def forward(self, tokens: Tensor, own: Context, others: Sequence[Context]) -> Tensor:
        """Tokens (B, N, d) and the contexts to tokens (B, N, d)."""
        queries = tokens if self.norm is None else self.norm(tokens)
        if self.intra is not None:
            tokens = tokens + self.gain_intra * self.intra(queries, *own)
        if self.inter is not None:
            tokens = tokens + self.gain_inter * self.inter(queries, *join(others))
        return tokens + self.gain_feed_forward * self.feed_forward(tokens)


def at_most(feature: Tensor, side: int) -> Tensor:
    """A map (B, C, H, W) averaged in equal blocks until it has at most `side` places per side."""
    height, width = int(feature.shape[2]), int(feature.shape[3])
    block = -(-max(height, width) // side)
    if block == 1:
        return feature
    return F.adaptive_avg_pool2d(feature, (-(-height // block), -(-width // block)))


def contexts(
    tokens: Sequence[Tensor], weights: Sequence[Tensor], shapes: Sequence[Shapes], grid: int
) -> list[Context]:
    """The context of every modality."""
    return [
        pool_context(token, weight, shape, grid)
        for token, weight, shape in zip(tokens, weights, shapes, strict=True)
    ]


def join(parts: Sequence[Context]) -> Context:
    """Several contexts as one."""
    return Context(
        tokens=torch.cat([part.tokens for part in parts], dim=1),
        bias=torch.cat([part.bias for part in parts], dim=2),
    )
