"""The decoder of FRL, which a network may also keep to reconstruct a missing modality."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from agfnet.models.attention import CrossAttention, FeedForward
from agfnet.models.context import concatenate_contexts, pool_contexts
from agfnet.models.tokenizer import PositionEmbedding
from agfnet.types import Features


class Decoder(nn.Module):
    """Reconstruct masked tokens: a query per masked token attends to the visible context.

    Args:
        modalities: number M of modalities.
        dim: token width d.
        heads: attention heads; divides `dim`.
        grid: side g of the context grid.
        scales: number S of scales.
        cross_modality: attend to the context of all modalities; otherwise of the same one only.
    """

    def __init__(
        self,
        *,
        modalities: int,
        dim: int,
        heads: int,
        grid: int,
        scales: int,
        cross_modality: bool = True,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.cross_modality = cross_modality
        self.mask_token = nn.Parameter(0.02 * torch.randn(modalities, dim))
        self.embed = nn.ModuleList(
            PositionEmbedding(dim=dim, grid=grid, scales=scales) for _ in range(modalities)
        )
        self.norm = nn.LayerNorm(dim)
        self.attention = CrossAttention(dim=dim, heads=heads)
        self.feed_forward = FeedForward(dim=dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, features: Features, masks: Sequence[Tensor]) -> Features:
        """Return the features with the tokens replaced where `masks`, per modality (B, N), is True.

        Masked tokens are not read.
        """
        visible = [guide * ~mask for guide, mask in zip(features.guides, masks, strict=True)]
        contexts = pool_contexts(features.tokens, visible, features.shapes, self.grid)
        joint = concatenate_contexts(contexts)
        tokens = []
        for m, (original, mask) in enumerate(zip(features.tokens, masks, strict=True)):
            context = joint if self.cross_modality else contexts[m]
            queries = self.mask_token[m] + self.embed[m](features.shapes[m])  # (1, N, d)
            queries = queries.expand(original.shape[0], -1, -1)
            x = queries + self.attention(queries, self.norm(context.tokens), context.bias)
            x = self.out(x + self.feed_forward(x))
            tokens.append(torch.where(mask[..., None], x, original))
        return features._replace(tokens=tuple(tokens))
