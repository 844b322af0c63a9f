"""HcCNN/CAFNet-style fusion: a third branch that mixes the views place by place at every scale.

Papers: Bi, Feng, Fulham and Kim, "Multi-label classification of multi-modality skin lesion via
hyper-connected convolutional neural network", Pattern Recognition 107:107502, 2020,
doi 10.1016/j.patcog.2020.107502 (the hyper-branch); He, Wang, Zhao and Chen, "Co-attention fusion
network for multimodal skin cancer diagnosis", Pattern Recognition 133:108990, 2023,
doi 10.1016/j.patcog.2022.108990 (co-attention, and fusion ratios per place).

Faithful: at every scale the views first guide each other by attention, then are mixed with ratios
that are chosen at each place, and the mixture joins what the branch brings from the finer scale;
deep supervision, and a prediction that combines branches and hyper-branch. Adapted: the papers'
abstracts name the blocks, how they are made is ours. Co-attention asks the other view's g x g
averages, so that its cost is linear in pixels; the hyper-branch works at width d, on the returned
maps; maps of another size are averaged to that of the first view.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agfnet.models.attention import Context, CrossAttention, pool_context
from agfnet.models.backbone import Backbone, Backbones, pool
from agfnet.models.baselines.late_fusion import mean_logits
from agfnet.models.heads import Head
from agfnet.models.local_learning import join
from agfnet.types import Output


class CoAttention(nn.Module):
    """A view's map at width d, guided by the summaries of the others."""

    def __init__(self, *, dim: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.read = CrossAttention(dim=dim, heads=heads)

    def forward(self, feature: Tensor, others: Sequence[Context]) -> Tensor:
        """Map (B, d, H, W) to a map (B, d, H, W)."""
        tokens = feature.flatten(2).mT  # (B, N, d)
        tokens = tokens + self.read(self.norm(tokens), *join(others))
        return tokens.mT.unflatten(2, feature.shape[2:])


class Mixing(nn.Module):
    """The views' maps as one, with ratios chosen at each place."""

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


class Fusion(nn.Module):
    """One scale of the hyper-branch: co-attention, mixing, and what the finer scale found.

    Args:
        channels: C of each view's map.
        dim: width d.
        heads: attention heads; divides `dim`.
        grid: side g of the summaries.
        first: nothing comes from a finer scale.
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

        Returns the hyper-branch (B, d, H_0, W_0) and the views' guided maps (B, d, H_m, W_m).
        """
        views = [project(x) for project, x in zip(self.project, maps, strict=True)]
        contexts = [self.summary(view, present[:, m]) for m, view in enumerate(views)]
        guided = [
            attention(views[m], [*contexts[:m], *contexts[m + 1 :]])
            for m, attention in enumerate(self.attention)
        ]
        size = guided[0].shape[2:]
        mixed = self.mixing([F.adaptive_avg_pool2d(x, size) for x in guided], present)
        if finer is not None:
            mixed = torch.cat([mixed, F.adaptive_avg_pool2d(finer, size)], dim=1)
        return self.merge(mixed), guided

    def summary(self, view: Tensor, present: Tensor) -> Context:
        """Map (B, d, H, W) in at most g x g tokens, which count for nothing where it is missing."""
        height, width = view.shape[2:]
        weights = present[:, None].expand(-1, height * width).to(view.dtype)  # (B, N)
        return pool_context(view.flatten(2).mT, weights, ((height, width),), self.grid)


class HyperBranch(nn.Module):
    """Backbones, a hyper-branch over their scales, and the mean of what it and the views say.

    A missing view guides no other, has no part in the mixture and no say in the mean.
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
        self.scales = nn.ModuleList(
            Fusion(channels=channels, dim=dim, heads=heads, grid=grid, first=s == 0)
            for s, channels in enumerate(zip(*self.backbones.channels, strict=True))
        )
        self.heads = nn.ModuleList(
            Head(dim=dim, classes=classes, dropout=dropout) for _ in range(modalities + 1)
        )

    def forward(self, images: Sequence[Tensor], present: Tensor) -> Output:
        """Images per modality (B, 3, H, W) and present (B, M) to logits (B, C)."""
        hyper: Tensor | None = None
        guided: list[Tensor] = []
        scales = zip(*self.backbones(images, present), strict=True)
        for fusion, maps in zip(self.scales, scales, strict=True):
            hyper, guided = fusion(maps, present, hyper)
        assert hyper is not None
        heard = F.pad(present, (0, 1), value=True)  # (B, M+1): the hyper-branch always is
        pooled = pool([*guided, hyper], heard)
        *views, fused = (head(x) for head, x in zip(self.heads, pooled, strict=True))
        return Output(logits=mean_logits([*views, fused], heard), auxiliary=tuple(views))
