"""ALL, attention-guided local learning: intra- and inter-modality attention of all tokens.

Paper: Xiao et al., IEEE TMI 44(1):543-555, 2025, doi 10.1109/TMI.2024.3450682 (abstract): "intra-
and inter-modality correlations to fuse multi-scale information", with "focus on the local
information of each modality". Our reading of what it leaves open is in docs/method.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from agfnet.models.attention import CrossAttention, FeedForward, layer_scale
from agfnet.models.context import Context, concatenate_contexts, pool_contexts
from agfnet.types import Features


class LocalLayer(nn.Module):
    """Intra- and inter-modality attention of one modality's tokens, at all scales at once.

    T' = T + s_intra * MHA(T, context of this modality) + s_inter * MHA(T, other contexts)
    T'' = T' + s_ffn * FFN(T')

    with one LayerScale vector s for each branch. A context is the guide-weighted average of all
    scales of a modality (see `pool_context`), so every token can attend to every scale of every
    modality at a cost linear in pixels. The modalities show different planes of the skin, so
    positions are never matched across them. Scales share these weights; their embeddings
    distinguish them.

    Args:
        dim: token width d.
        heads: attention heads; divides `dim`.
        intra: attend to the context of the same modality.
        inter: attend to the contexts of the other modalities.
    """

    def __init__(self, *, dim: int, heads: int, intra: bool, inter: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim) if intra or inter else None
        self.intra = CrossAttention(dim=dim, heads=heads) if intra else None
        self.layer_scale_intra = layer_scale(dim) if intra else None
        self.inter = CrossAttention(dim=dim, heads=heads) if inter else None
        self.layer_scale_inter = layer_scale(dim) if inter else None
        self.feed_forward = FeedForward(dim=dim)
        self.layer_scale_feed_forward = layer_scale(dim)

    def forward(self, tokens: Tensor, context: Context, others: Sequence[Context]) -> Tensor:
        """Tokens (B, N, d), their context and those of the other modalities to (B, N, d)."""
        queries = tokens if self.norm is None else self.norm(tokens)
        if self.intra is not None:
            tokens = tokens + self.layer_scale_intra * self.intra(queries, *context)
        if self.inter is not None:
            update = self.inter(queries, *concatenate_contexts(others))
            tokens = tokens + self.layer_scale_inter * update
        return tokens + self.layer_scale_feed_forward * self.feed_forward(tokens)


class LocalLearning(nn.ModuleList):
    """One `LocalLayer` for each modality, and the contexts that all of them attend to.

    Args:
        layers: M layers.
        grid: side g of the context grid.
    """

    def __init__(self, layers: Iterable[nn.Module], *, grid: int) -> None:
        super().__init__(layers)
        self.grid = grid

    def forward(self, features: Features) -> Features:
        """Return the features with their tokens updated."""
        contexts = pool_contexts(features.tokens, features.guides, features.shapes, self.grid)
        tokens = tuple(
            layer(features.tokens[m], contexts[m], [*contexts[:m], *contexts[m + 1 :]])
            for m, layer in enumerate(self)
        )
        return features._replace(tokens=tokens)
