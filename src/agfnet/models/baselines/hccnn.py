"""HcCNN/CAFNet-style fusion: a third branch that mixes the modalities at every position and scale.

Papers: Bi, Feng, Fulham and Kim, "Multi-label classification of multi-modality skin lesion via
hyper-connected convolutional neural network", Pattern Recognition 107:107502, 2020,
doi 10.1016/j.patcog.2020.107502 (the hyper-branch); He, Wang, Zhao and Chen, "Co-attention fusion
network for multimodal skin cancer diagnosis", Pattern Recognition 133:108990, 2023,
doi 10.1016/j.patcog.2022.108990 (co-attention, and fusion ratios per position).

Faithful: at every scale the modalities first guide each other by attention, then they are mixed
with ratios that are computed at each position, and the mixture is merged with the branch of the
finer scale; deep supervision, and a prediction that combines all branches and the hyper-branch.
Adapted: the abstracts name the blocks, and their construction is ours. Co-attention attends to g x
g averages of the other modalities, so that its cost is linear in pixels; the hyper-branch works at
width d, on the returned maps; maps of another size are averaged to that of the first modality.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agfnet.models.attention import CrossAttention
from agfnet.models.backbone import Backbones, pool
from agfnet.models.baselines.late_fusion import mean_logits
from agfnet.models.context import Context, concatenate_contexts, pool_context, pooled_shapes
from agfnet.models.heads import Head
from agfnet.models.network import Calls, Network, grids_of, local_attention_map
from agfnet.types import AttentionMap, Output


class CoAttention(nn.Module):
    """A map of one modality at width d, updated by attention to the contexts of the others."""

    def __init__(self, *, dim: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.attention = CrossAttention(dim=dim, heads=heads)

    def forward(self, feature: Tensor, others: Sequence[Context]) -> Tensor:
        """Map (B, d, H, W) to a map (B, d, H, W)."""
        tokens = feature.flatten(2).mT  # (B, N, d)
        tokens = tokens + self.attention(self.norm(tokens), *concatenate_contexts(others))
        return tokens.mT.unflatten(2, feature.shape[2:])


class Mixing(nn.Module):
    """Weighted mean of the modalities' maps, with ratios computed at each position."""

    def __init__(self, *, modalities: int, dim: int) -> None:
        super().__init__()
        self.score = nn.ModuleList(nn.Conv2d(dim, 1, kernel_size=1) for _ in range(modalities))

    def forward(self, maps: Sequence[Tensor], present: Tensor) -> Tensor:
        """Maps (B, d, H, W) of one size, present (B, M) to a map (B, d, H, W)."""
        scores = torch.stack(
            [score(x) for score, x in zip(self.score, maps, strict=True)], dim=1
        )  # (B, M, 1, H, W)
        absent = ~present[..., None, None, None]
        ratios = scores.masked_fill(absent, -torch.inf).softmax(dim=1)
        return (torch.stack(tuple(maps), dim=1) * ratios).sum(dim=1)


class HyperScale(nn.Module):
    """One scale of the hyper-branch: co-attention, mixing, and merging with the finer scale.

    Args:
        channels: C of each modality's map.
        dim: width d.
        heads: attention heads; divides `dim`.
        grid: side g of the contexts.
        first: there is no finer scale.
    """

    def __init__(
        self, *, channels: Sequence[int], dim: int, heads: int, grid: int, first: bool
    ) -> None:
        super().__init__()
        self.grid = grid
        self.project = nn.ModuleList(nn.Conv2d(c, dim, kernel_size=1) for c in channels)
        self.attention = nn.ModuleList(CoAttention(dim=dim, heads=heads) for _ in channels)
        self.mixing = Mixing(modalities=len(channels), dim=dim)
        self.merge = nn.Sequential(
            nn.Conv2d(dim if first else 2 * dim, dim, kernel_size=3, padding=1),
            nn.GroupNorm(1, dim),
            nn.ReLU(),
        )

    def forward(
        self, maps: Sequence[Tensor], present: Tensor, finer: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        """Maps (B, C_m, H_m, W_m), present (B, M) and the hyper-branch (B, d, H', W') so far.

        Returns the hyper-branch (B, d, H_0, W_0) and the modalities' updated maps (B, d, H_m, W_m).
        """
        projected = [project(x) for project, x in zip(self.project, maps, strict=True)]
        contexts = [self.context(x, present[:, m]) for m, x in enumerate(projected)]
        attended = [
            attention(projected[m], [*contexts[:m], *contexts[m + 1 :]])
            for m, attention in enumerate(self.attention)
        ]
        size = attended[0].shape[2:]
        mixed = self.mixing([F.adaptive_avg_pool2d(x, size) for x in attended], present)
        if finer is not None:
            mixed = torch.cat([mixed, F.adaptive_avg_pool2d(finer, size)], dim=1)
        return self.merge(mixed), attended

    def context(self, feature: Tensor, present: Tensor) -> Context:
        """Map (B, d, H, W) in at most g x g tokens, without weight where it is missing."""
        height, width = feature.shape[2:]
        weights = present[:, None].expand(-1, height * width).to(feature.dtype)  # (B, N)
        return pool_context(feature.flatten(2).mT, weights, ((height, width),), self.grid)


class HcCNN(Network):
    """Backbones, a hyper-branch over their scales, and the mean of its logits and theirs.

    A missing modality guides no other, has no part in the mixture and is left out of the mean.
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
        self.scales = nn.ModuleList(
            HyperScale(channels=channels, dim=dim, heads=heads, grid=grid, first=s == 0)
            for s, channels in enumerate(zip(*backbones.channels, strict=True))
        )
        self.heads = nn.ModuleList(
            Head(dim=dim, classes=classes, dropout=dropout) for _ in range(backbones.modalities + 1)
        )

    def forward(self, images: Sequence[Tensor], present: Tensor) -> Output:
        """Images per modality (B, 3, H, W) and present (B, M) to logits (B, C)."""
        hyper: Tensor | None = None
        attended: list[Tensor] = []
        scales = zip(*self.backbones(images, present), strict=True)
        for scale, maps in zip(self.scales, scales, strict=True):
            hyper, attended = scale(maps, present, hyper)
        assert hyper is not None
        used = F.pad(present, (0, 1), value=True)  # (B, M+1): the hyper-branch always is
        pooled = pool([*attended, hyper], used)
        *modalities, fused = (head(x) for head, x in zip(self.heads, pooled, strict=True))
        logits = mean_logits([*modalities, fused], used)
        return Output(logits=logits, auxiliary=tuple(modalities))

    def recorded_modules(self) -> list[nn.Module]:
        """The co-attention of all scales, and its attention modules."""
        return [m for m in self.modules() if isinstance(m, CoAttention | CrossAttention)]

    def local_attention(self, calls: Calls) -> Iterator[AttentionMap]:
        """Attention of the positions of each modality to the contexts of the others."""
        for scale in cast(Iterable[HyperScale], self.scales):
            blocks = cast(list[CoAttention], list(scale.attention))
            maps = [calls.inputs(block)[0] for block in blocks]
            shapes = [((int(x.shape[2]), int(x.shape[3])),) for x in maps]
            contexts = [pooled_shapes(shape, scale.grid) for shape in shapes]
            for m, block in enumerate(blocks):
                keys = grids_of((n for n in range(len(shapes)) if n != m), contexts)
                tokens = maps[m].flatten(2).mT
                yield local_attention_map(block.attention, calls, m, shapes[m], keys, tokens)
