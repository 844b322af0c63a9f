"""TFormer-style fusion: after each stage, windows of each view attend to those of all views.

Paper: Zhang, Xie and Chen, "TFormer: A throughout fusion transformer for multi-modal skin lesion
diagnosis", Computers in Biology and Medicine 157:106712, 2023,
doi 10.1016/j.compbiomed.2023.106712, arXiv:2211.11393.

Faithful: the views are fused stage by stage and not at the end only, by attention in windows, whose
cost is linear in pixels; the fused maps enter the next stage. Adapted: any backbone instead of Swin
transformers (one that timm does not run as a chain of modules is fused at its last map only);
attention at width d, added to the map with a small learned gain; the other view's map is averaged
to the size of the own one, so that sizes may differ; positions are embedded instead of a bias per
offset. The block that adds patient metadata is left out: there is none.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agfnet.models.attention import (
    CrossAttention,
    FeedForward,
    PositionEmbedding,
    gain,
)
from agfnet.models.backbone import Backbone, Backbones, pool
from agfnet.models.heads import Head
from agfnet.types import Output


def windows(maps: Tensor, side: int, shift: int) -> Tensor:
    """Maps (B, d, H, W) in windows (B, n, side * side, d), zeros beyond the edges.

    The first window begins `shift` places above and left of the map.
    """
    height, width = maps.shape[2:]
    maps = F.pad(maps, (shift, -(width + shift) % side, shift, -(height + shift) % side))
    maps = maps.unflatten(3, (-1, side)).unflatten(2, (-1, side))  # (B, d, rows, w, columns, w)
    return maps.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(1, 2)


def unwindows(tokens: Tensor, size: tuple[int, int], side: int, shift: int) -> Tensor:
    """Windows (B, n, side * side, d) back to maps (B, d, H, W) of this size."""
    height, width = size
    columns = -(-(width + shift) // side)
    maps = tokens.unflatten(1, (-1, columns)).unflatten(3, (side, side))
    maps = maps.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)
    return maps[..., shift : shift + height, shift : shift + width]


class WindowLayer(nn.Module):
    """Each place attends to its window in the own map and in those of the other views.

    Args:
        dim: token width d.
        heads: attention heads; divides `dim`.
        side: side of a window, in places of the own map.
        shift: how far the windows are moved up and left, where there is more than one.
    """

    def __init__(self, *, dim: int, heads: int, side: int, shift: int) -> None:
        super().__init__()
        self.side = side
        self.shift = shift
        self.norm = nn.LayerNorm(dim)
        self.attention = CrossAttention(dim=dim, heads=heads)
        self.feed_forward = FeedForward(dim=dim)

    def forward(self, own: Tensor, others: Sequence[Tensor], present: Tensor) -> Tensor:
        """Own map (B, d, H, W), maps of the others and whether they are present (B, M-1)."""
        size = (own.shape[2], own.shape[3])
        shift = self.shift if max(size) > self.side else 0
        maps = [own, *(F.adaptive_avg_pool2d(other, size) for other in others)]
        parts = [windows(x, self.side, shift) for x in maps]  # M x (B, n, w², d)
        keys = self.norm(torch.cat(parts, dim=2)).flatten(0, 1)  # (B * n, M * w², d)
        inside = windows(own.new_ones(1, 1, *size), self.side, shift).mT > 0  # (1, n, 1, w²)
        read = F.pad(present, (1, 0), value=True)  # (B, M), the own one first
        seen = (inside & read[:, None, :, None]).flatten(2).flatten(0, 1)  # (B * n, M * w²)
        bias = torch.zeros_like(keys[..., 0]).masked_fill(~seen, -torch.inf)
        tokens = parts[0].flatten(0, 1)  # (B * n, w², d)
        tokens = tokens + self.attention(keys[:, : tokens.shape[1]], keys, bias[:, None])
        tokens = tokens + self.feed_forward(tokens)
        return unwindows(tokens.unflatten(0, parts[0].shape[:2]), size, self.side, shift)


class Windows(nn.ModuleList):
    """A window layer for each view."""

    def __init__(self, *, views: int, **layer: int) -> None:
        super().__init__(WindowLayer(**layer) for _ in range(views))

    def forward(self, maps: Sequence[Tensor], present: Tensor) -> list[Tensor]:
        """Maps (B, d, H_m, W_m) and present (B, M) to maps of the same shapes."""
        return [
            layer(
                maps[m],
                [*maps[:m], *maps[m + 1 :]],
                torch.cat([present[:, :m], present[:, m + 1 :]], dim=1),
            )
            for m, layer in enumerate(self)
        ]


class Stage(nn.Module):
    """What happens to the views' maps after one stage of their backbones: two window layers.

    Args:
        channels: C of each view's map.
        dim: token width d.
        heads: attention heads; divides `dim`.
        grid: side of the position embedding.
        side: side of a window; the second layer's windows are shifted by half of it.
    """

    def __init__(
        self, *, channels: Sequence[int], dim: int, heads: int, grid: int, side: int
    ) -> None:
        super().__init__()
        self.project = nn.ModuleList(nn.Conv2d(c, dim, kernel_size=1) for c in channels)
        self.embed = nn.ModuleList(
            PositionEmbedding(dim=dim, grid=grid, scales=1) for _ in channels
        )
        self.layers = nn.ModuleList(
            Windows(views=len(channels), dim=dim, heads=heads, side=side, shift=shift)
            for shift in (0, side // 2)
        )
        self.out = nn.ModuleList(nn.Conv2d(dim, c, kernel_size=1) for c in channels)
        self.gain = nn.ParameterList(gain(c) for c in channels)

    def forward(self, maps: Sequence[Tensor], present: Tensor) -> list[Tensor]:
        """Maps (B, C_m, H_m, W_m) and present (B, M) to maps of the same shapes."""
        tokens = []
        for project, embed, feature in zip(self.project, self.embed, maps, strict=True):
            size = (feature.shape[2], feature.shape[3])
            tokens.append(project(feature) + embed((size,)).mT.unflatten(2, size))
        for layer in self.layers:
            tokens = layer(tokens, present)
        return [
            feature + gain[:, None, None] * out(token)
            for feature, gain, out, token in zip(maps, self.gain, self.out, tokens, strict=True)
        ]


class TFormer(nn.Module):
    """Backbones in step, with a fusing `Stage` after each stage; pooled, concatenated, a head.

    A missing view is read by no other, and enters the head as zeros.
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
        window: int = 7,
    ) -> None:
        super().__init__()
        self.backbones = Backbones(backbones, modalities=modalities)
        self.stages = nn.ModuleList(
            Stage(channels=channels, dim=dim, heads=heads, grid=grid, side=window)
            for channels in self.backbones.stage_channels()
        )
        width = sum(channels[-1] for channels in self.backbones.channels)
        self.head = Head(dim=width, classes=classes, dropout=dropout)

    def forward(self, images: Sequence[Tensor], present: Tensor) -> Output:
        """Images per modality (B, 3, H, W) and present (B, M) to logits (B, C)."""
        maps = self.backbones.in_step(
            images, present, lambda stage, maps: self.stages[stage](maps, present)
        )
        return Output(logits=self.head(torch.cat(pool(maps, present), dim=1)))
