"""Token cross-attention: each view's coarsest tokens ask those of the others.

The plain form of what many multimodal transformers share, with the attention of Vaswani et al.,
"Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762. One pre-norm layer per view, whose
queries are the view's own tokens and whose keys and values are the tokens of all others.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from agfnet.models.attention import CrossAttention, FeedForward
from agfnet.models.backbone import Backbone, Backbones
from agfnet.models.heads import Head
from agfnet.models.local_learning import Tokens
from agfnet.types import Output


class Asking(nn.Module):
    """One layer in which the tokens of one view read those of the others."""

    def __init__(self, *, dim: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.read = CrossAttention(dim=dim, heads=heads)
        self.feed_forward = FeedForward(dim=dim)

    def forward(self, tokens: Tensor, others: Tensor) -> Tensor:
        """Own tokens (B, N, d), those of the others (B, K, d), to (B, N, d)."""
        tokens = tokens + self.read(self.norm(tokens), others)
        return tokens + self.feed_forward(tokens)


class TokenCrossAttention(nn.Module):
    """Tokens of each backbone's last map read those of the others; pooled, concatenated, a head.

    The tokens of a missing view are one learned token everywhere. Cost grows with the square of the
    number of tokens of the last map.
    """

    def __init__(
        self,
        *,
        backbones: Sequence[Backbone],
        modalities: int,
        classes: int,
        dropout: float,
        dim: int,
        heads: int,
        grid: int,
    ) -> None:
        super().__init__()
        self.backbones = Backbones(backbones, modalities=modalities)
        self.tokens = nn.ModuleList(
            Tokens(channels=channels[-1:], dim=dim, grid=grid, guided=False)
            for channels in self.backbones.channels
        )
        self.asking = nn.ModuleList(Asking(dim=dim, heads=heads) for _ in range(modalities))
        self.head = Head(dim=modalities * dim, classes=classes, dropout=dropout)

    def forward(self, images: Sequence[Tensor], present: Tensor) -> Output:
        """Images per modality (B, 3, H, W) and present (B, M) to logits (B, C)."""
        tokens = [
            self.tokens[m](maps[-1:], present[:, m])[0]
            for m, maps in enumerate(self.backbones(images, present))
        ]  # M x (B, N_m, d)
        answers = [
            asking(tokens[m], torch.cat([*tokens[:m], *tokens[m + 1 :]], dim=1)).mean(dim=1)
            for m, asking in enumerate(self.asking)
        ]  # M x (B, d)
        return Output(logits=self.head(torch.cat(answers, dim=1)))
