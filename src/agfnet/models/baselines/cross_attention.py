"""Token cross-attention: the coarsest tokens of each modality attend to those of the others.

The common core of many multimodal transformers, with the attention of Vaswani et al., "Attention Is
All You Need", NeurIPS 2017, arXiv:1706.03762. One pre-norm layer per modality, whose queries are
the tokens of the modality and whose keys and values are the tokens of all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from agfnet.models.attention import CrossAttention, FeedForward
from agfnet.models.backbone import Backbones
from agfnet.models.heads import Head
from agfnet.models.network import Calls, Network, grids_of, local_attention_map
from agfnet.models.tokenizer import Tokenizer
from agfnet.types import AttentionMap, Output


class CrossAttentionLayer(nn.Module):
    """One layer in which the tokens of a modality attend to those of the others."""

    def __init__(self, *, dim: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.attention = CrossAttention(dim=dim, heads=heads)
        self.feed_forward = FeedForward(dim=dim)

    def forward(self, tokens: Tensor, others: Tensor) -> Tensor:
        """Tokens (B, N, d) and those of the other modalities (B, K, d) to (B, N, d)."""
        tokens = tokens + self.attention(self.norm(tokens), others)
        return tokens + self.feed_forward(tokens)


class TokenCrossAttention(Network):
    """Cross-attention between the tokens of the last maps; pooled, concatenated, then a head.

    The tokens of a missing modality are one learned token at every position. Cost grows with the
    square of the number of tokens of the last map.
    """

    def __init__(
        self,
        *,
        backbones: Backbones,
        classes: int,
        dropout: float,
        dim: int,
        heads: int,
        grid: int,
    ) -> None:
        super().__init__(backbones=backbones)
        modalities = backbones.modalities
        self.tokenizers = nn.ModuleList(
            Tokenizer(channels=channels[-1:], dim=dim, grid=grid, guided=False)
            for channels in backbones.channels
        )
        self.layers = nn.ModuleList(
            CrossAttentionLayer(dim=dim, heads=heads) for _ in range(modalities)
        )
        self.head = Head(dim=modalities * dim, classes=classes, dropout=dropout)

    def forward(self, images: Sequence[Tensor], present: Tensor) -> Output:
        """Images per modality (B, 3, H, W) and present (B, M) to logits (B, C)."""
        maps = self.backbones.last_maps(images, present)
        tokens = [
            tokenizer(maps[m : m + 1], present[:, m])[0]
            for m, tokenizer in enumerate(self.tokenizers)
        ]  # M x (B, N_m, d)
        pooled = [
            layer(tokens[m], torch.cat([*tokens[:m], *tokens[m + 1 :]], dim=1)).mean(dim=1)
            for m, layer in enumerate(self.layers)
        ]  # M x (B, d)
        return Output(logits=self.head(torch.cat(pooled, dim=1)))

    def recorded_modules(self) -> list[nn.Module]:
        """Tokenizers, layers, and their attention."""
        return [*self.tokenizers, *self.layers, *(layer.attention for layer in self.layers)]

    def local_attention(self, calls: Calls) -> Iterator[AttentionMap]:
        """Attention of the tokens of each modality to those of the others."""
        shapes = [calls.output(tokenizer)[2] for tokenizer in self.tokenizers]
        for m, layer in enumerate(cast(Iterable[CrossAttentionLayer], self.layers)):
            keys = grids_of((n for n in range(len(shapes)) if n != m), shapes)
            tokens = calls.inputs(layer)[0]
            yield local_attention_map(layer.attention, calls, m, shapes[m], keys, tokens)
