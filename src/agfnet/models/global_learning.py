"""AGL, attention-guided global learning: one question to each view and one to all of them.

Paper: Xiao et al., 2025, doi 10.1109/TMI.2024.3450682 (abstract): AGL "fuses global information to
further enhance the feature representation". Our reading: query tokens that start from each view's
global average, read the local features by attention, and exchange what they found.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agfnet.models.attention import CrossAttention, FeedForward, gain
from agfnet.types import Features


class GlobalLayer(nn.Module):
    """Queries read the tokens that they may see, exchange by self-attention, and digest."""

    def __init__(self, *, dim: int, heads: int, dropout: float, exchange: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.norm_read = nn.LayerNorm(dim)
        self.read = CrossAttention(dim=dim, heads=heads, few=True)
        self.gain_read = gain(dim)
        self.norm_exchange = nn.LayerNorm(dim)
        self.exchange = CrossAttention(dim=dim, heads=heads)
        self.gain_exchange = gain(dim, exchange)
        self.feed_forward = FeedForward(dim=dim)
        self.gain_feed_forward = gain(dim, exchange)

    def forward(self, queries: Tensor, tokens: Tensor, bias: Tensor) -> Tensor:
        """Queries (B, M+1, d), tokens (B, sum N, d), bias (B, M+1, sum N) to (B, M+1, d)."""
        read = self.read(self.norm_read(queries), tokens, bias)
        queries = queries + self.gain_read * self.dropout(read)
        normed = self.norm_exchange(queries)
        queries = queries + self.gain_exchange * self.dropout(self.exchange(normed, normed))
        return queries + self.gain_feed_forward * self.dropout(self.feed_forward(queries))


class GlobalLearning(nn.Module):
    """One query per modality, which sees its own tokens, and one fused query, which sees all.

    A token counts by its guide. Without layers the queries stay what they start from: the mean of
    each view's coarsest tokens, and the mean of these means.

    Args:
        modalities: number M of views.
        dim: token width d.
        heads: attention heads; divides `dim`.
        layers: of reading and exchange.
        dropout: of what they add.
        exchange: how much the exchange and the feed-forward after it count at the start.
    """

    def __init__(
        self,
        *,
        modalities: int,
        dim: int,
        heads: int,
        layers: int,
        dropout: float,
        exchange: float,
    ) -> None:
        super().__init__()
        self.queries = nn.Parameter(0.02 * torch.randn(modalities + 1, dim))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(modalities))
        self.layers = nn.ModuleList(
            GlobalLayer(dim=dim, heads=heads, dropout=dropout, exchange=exchange)
            for _ in range(layers)
        )

    def forward(self, features: Features) -> Tensor:
        """Tokens per modality (B, N, d) to queries (B, M+1, d), the fused one last."""
        tokens = [norm(token) for norm, token in zip(self.norms, features.tokens, strict=True)]
        coarsest = [shape[-1][0] * shape[-1][1] for shape in features.shapes]
        views = [token[:, -n:].mean(dim=1) for token, n in zip(tokens, coarsest, strict=True)]
        start = torch.stack([*views, torch.stack(views).mean(dim=0)], dim=1)  # (B, M+1, d)
        everything = torch.cat(tokens, dim=1)  # (B, sum N, d)
        bias = self.bias(features)
        queries = self.queries + start
        for layer in self.layers:
            queries = layer(queries, everything, bias)
        return queries

    def bias(self, features: Features) -> Tensor:
        """(B, M+1, sum N): the logarithm of a token's guide, -inf where a query may not look."""
        owner = torch.cat(
            [torch.full((guide.shape[1],), m) for m, guide in enumerate(features.guides)]
        )  # (sum N,)
        asker = torch.arange(len(features.guides) + 1)[:, None]  # (M+1, 1)
        sees = (asker == owner) | (asker == len(features.guides))
        guides = torch.cat(features.guides, dim=1).clamp_min(1e-6).log()  # (B, sum N)
        return guides[:, None].masked_fill(~sees.to(guides.device), -torch.inf)
