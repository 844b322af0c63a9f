"""AGL, attention-guided global learning: one view query per modality and one fusion query.

Paper: Xiao et al., 2025, doi 10.1109/TMI.2024.3450682 (abstract): AGL "fuses global information to
further enhance the feature representation". Our reading: query tokens that start from each
modality's global average attend to the local features, and then to each other.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agfnet.models.attention import CrossAttention, FeedForward, layer_scale
from agfnet.types import Features


class GlobalLayer(nn.Module):
    """Cross-attention of the queries to the tokens, self-attention, and a feed-forward layer."""

    def __init__(self, *, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.norm_attention = nn.LayerNorm(dim)
        self.attention = CrossAttention(dim=dim, heads=heads, absorb_keys=True)
        self.layer_scale_attention = layer_scale(dim)
        self.norm_self_attention = nn.LayerNorm(dim)
        self.self_attention = CrossAttention(dim=dim, heads=heads)
        self.layer_scale_self_attention = layer_scale(dim)
        self.feed_forward = FeedForward(dim=dim)
        self.layer_scale_feed_forward = layer_scale(dim)

    def forward(self, queries: Tensor, tokens: Tensor, bias: Tensor) -> Tensor:
        """Queries (B, M+1, d), tokens (B, sum N, d), bias (B, M+1, sum N) to (B, M+1, d)."""
        update = self.attention(self.norm_attention(queries), tokens, bias)
        queries = queries + self.layer_scale_attention * self.dropout(update)
        normed = self.norm_self_attention(queries)
        update = self.self_attention(normed, normed)
        queries = queries + self.layer_scale_self_attention * self.dropout(update)
        update = self.feed_forward(queries)
        return queries + self.layer_scale_feed_forward * self.dropout(update)


class GlobalLearning(nn.Module):
    """View queries, which attend to the tokens of one modality, and a fusion query, to all tokens.

    The guide weighs the tokens. Without layers the queries keep their starting values: the mean of
    each modality's coarsest tokens, and the mean of these means.

    Args:
        modalities: number M of modalities.
        dim: token width d.
        heads: attention heads; divides `dim`.
        layers: number of `GlobalLayer`s.
        dropout: dropout of the update of each branch of a layer.
    """

    def __init__(
        self, *, modalities: int, dim: int, heads: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        self.queries = nn.Parameter(0.02 * torch.randn(modalities + 1, dim))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(modalities))
        self.layers = nn.ModuleList(
            GlobalLayer(dim=dim, heads=heads, dropout=dropout) for _ in range(layers)
        )

    def forward(self, features: Features) -> Tensor:
        """Tokens per modality (B, N, d) to queries (B, M+1, d), the fusion query last."""
        tokens = [norm(token) for norm, token in zip(self.norms, features.tokens, strict=True)]
        coarsest = [shape[-1][0] * shape[-1][1] for shape in features.shapes]
        means = [token[:, -n:].mean(dim=1) for token, n in zip(tokens, coarsest, strict=True)]
        start = torch.stack([*means, torch.stack(means).mean(dim=0)], dim=1)  # (B, M+1, d)
        all_tokens = torch.cat(tokens, dim=1)  # (B, sum N, d)
        bias = self.bias(features)
        queries = self.queries + start
        for layer in self.layers:
            queries = layer(queries, all_tokens, bias)
        return queries

    def bias(self, features: Features) -> Tensor:
        """Logarithm of the guides, -inf for tokens that a query may not attend to.

        Returns:
            (B, M+1, sum N), for the queries in rows and the tokens of all modalities in columns.
        """
        modality = torch.cat(
            [torch.full((guide.shape[1],), m) for m, guide in enumerate(features.guides)]
        )  # (sum N,)
        query = torch.arange(len(features.guides) + 1)[:, None]  # (M+1, 1)
        visible = (query == modality) | (query == len(features.guides))
        guides = torch.cat(features.guides, dim=1).clamp_min(1e-6).log()  # (B, sum N)
        return guides[:, None].masked_fill(~visible.to(guides.device), -torch.inf)
