"""TFormer-style fusion: after each stage, windows of each modality attend to those of all.

Paper: Zhang, Xie and Chen, "TFormer: A throughout fusion transformer for multi-modal skin lesion
diagnosis", Computers in Biology and Medicine 157:106712, 2023,
doi 10.1016/j.compbiomed.2023.106712, arXiv:2211.11393.

Faithful: the modalities are fused stage by stage and not at the end only, by attention in windows,
whose cost is linear in pixels; the fused maps enter the next stage. Adapted: any backbone instead
of Swin transformers (one that timm does not run as a chain of modules is fused at its last map
only); attention at width d, added to the map with LayerScale; the map of another modality is
averaged to the size of the map that attends to it, so that sizes may differ; position embeddings
instead of a bias per offset. The block that adds patient metadata is left out, since there is none.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agfnet.models.attention import (
    CrossAttention,
    FeedForward,
    layer_scale,
)
from agfnet.models.backbone import Backbones, pool
from agfnet.models.heads import Head
from agfnet.models.network import Network
from agfnet.models.tokenizer import PositionEmbedding
from agfnet.types import Output


def windows(maps: Tensor, side: int, shift: int) -> Tensor:
    """Split maps (B, d, H, W) into windows (B, n, side * side, d), zeros beyond the edges.

    The first window begins `shift` positions above and left of the map.
    """
    height, width = maps.shape[2:]
    maps = F.pad(maps, (shift, -(width + shift) % side, shift, -(height + shift) % side))
    maps = maps.unflatten(3, (-1, side)).unflatten(2, (-1, side))  # (B, d, rows, w, columns, w)
    return maps.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(1, 2)


def unwindows(tokens: Tensor, size: tuple[int, int], side: int, shift: int) -> Tensor:
    """Join windows (B, n, side * side, d) into maps (B, d, H, W) of this size."""
    height, width = size
    columns = -(-(width + shift) // side)
    maps = tokens.unflatten(1, (-1, columns)).unflatten(3, (side, side))
    maps = maps.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)
    return maps[..., shift : shift + height, shift : shift + width]


class WindowLayer(nn.Module):
    """Each position attends to its window in the maps of all modalities.

    Args:
        dim: token width d.
        heads: attention heads; divides `dim`.
        side: side of a window, in positions of the map.
        shift: positions by which the windows are moved up and left, if there are several.
    """

    def __init__(self, *, dim: int, heads: int, side: int, shift: int) -> None:
        super().__init__()
        self.side = side
        self.shift = shift
        self.norm = nn.LayerNorm(dim)
        self.attention = CrossAttention(dim=dim, heads=heads)
        self.feed_forward = FeedForward(dim=dim)

    def forward(self, feature: Tensor, others: Sequence[Tensor], present: Tensor) -> Tensor:
        """Map (B, d, H, W), maps of the other modalities, present (B, M-1), to (B, d, H, W)."""
        size = (feature.shape[2], feature.shape[3])
        shift = self.shift if max(size) > self.side else 0
        maps = [feature, *(F.adaptive_avg_pool2d(other, size) for other in others)]
        parts = [windows(x, self.side, shift) for x in maps]  # M x (B, n, w², d)
        keys = self.norm(torch.cat(parts, dim=2)).flatten(0, 1)  # (B * n, M * w², d)
        inside = windows(feature.new_ones(1, 1, *size), self.side, shift).mT > 0  # (1, n, 1, w²)
        visible = F.pad(present, (1, 0), value=True)  # (B, M), this modality first
        seen = (inside & visible[:, None, :, None]).flatten(2).flatten(0, 1)  # (B * n, M * w²)
        bias = torch.zeros_like(keys[..., 0]).masked_fill(~seen, -torch.inf)
        tokens = parts[0].flatten(0, 1)  # (B * n, w², d)
        tokens = tokens + self.attention(keys[:, : tokens.shape[1]], keys, bias[:, None])
        tokens = tokens + self.feed_forward(tokens)
        return unwindows(tokens.unflatten(0, parts[0].shape[:2]), size, self.side, shift)


class WindowLayers(nn.ModuleList):
    """A window layer for each modality."""

    def __init__(self, *, modalities: int, **layer: int) -> None:
        super().__init__(WindowLayer(**layer) for _ in range(modalities))

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
    """Fusion of the maps of all modalities after one stage: two window layers.

    Args:
        channels: C of each modality's map.
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
            WindowLayers(modalities=len(channels), dim=dim, heads=heads, side=side, shift=shift)
            for shift in (0, side // 2)
        )
        self.out = nn.ModuleList(nn.Conv2d(dim, c, kernel_size=1) for c in channels)
        self.layer_scale = nn.ParameterList(layer_scale(c, 0.1) for c in channels)

    def forward(self, maps: Sequence[Tensor], present: Tensor) -> list[Tensor]:
        """Maps (B, C_m, H_m, W_m) and present (B, M) to maps of the same shapes."""
        tokens = []
        for project, embed, feature in zip(self.project, self.embed, maps, strict=True):
            size = (feature.shape[2], feature.shape[3])
            tokens.append(project(feature) + embed((size,)).mT.unflatten(2, size))
        for layer in self.layers:
            tokens = layer(tokens, present)
        return [
            feature + scale[:, None, None] * out(token)
            for feature, scale, out, token in zip(
                maps, self.layer_scale, self.out, tokens, strict=True
            )
        ]


class TFormer(Network):
    """Backbones with a fusing `Stage` after each stage; pooled, concatenated, then a head.

    No other modality attends to a missing one, and its features are zeros for the head.
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
        window: int = 7,
    ) -> None:
        super().__init__(backbones=backbones)
        self.stages = nn.ModuleList(
            Stage(channels=channels, dim=dim, heads=heads, grid=grid, side=window)
            for channels in backbones.stage_channels()
        )
        width = sum(channels[-1] for channels in backbones.channels)
        self.head = Head(dim=width, classes=classes, dropout=dropout)

    def forward(self, images: Sequence[Tensor], present: Tensor) -> Output:
        """Images per modality (B, 3, H, W) and present (B, M) to logits (B, C)."""
        maps = self.backbones.forward_stages(
            images, present, lambda stage, maps: self.stages[stage](maps, present)
        )
        return Output(logits=self.head(torch.cat(pool(maps, present), dim=1)))
