"""MMTM: after each stage, every view's channels are gated by what all views found.

Paper: Joze, Shaban, Iuzzolino and Koishida, "MMTM: Multimodal Transfer Module for CNN Fusion", CVPR
2020, arXiv:1911.08670.

Faithful: each map squeezed to its global average, a joint vector of a quarter of the channels, one
excitation per view, gates 2 sigmoid(.) that start near 1 and keep pretrained features; the gated
maps enter the next stage of their backbones; the mean of the views' logits decides. Adapted: after
each of the last `fusion.scales` stages; a backbone that timm does not run as a chain of modules
(vision transformers, HRNet, Xception) is gated at its last map only; the views' logits are
supervised as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agfnet.models.backbone import Backbone, Backbones, pool
from agfnet.models.baselines.late_fusion import mean_logits
from agfnet.models.heads import Head
from agfnet.types import Output


class Transfer(nn.Module):
    """Squeeze, joint excitation and gates of the views' maps at one stage.

    Args:
        channels: C of each view's map.
        ratio: how many times narrower the joint vector is than all channels together.
    """

    def __init__(self, *, channels: Sequence[int], ratio: int) -> None:
        super().__init__()
        width = max(1, sum(channels) // ratio)
        self.squeeze = nn.Linear(sum(channels), width)
        self.excite = nn.ModuleList(nn.Linear(width, c) for c in channels)

    def forward(self, maps: Sequence[Tensor], present: Tensor) -> list[Tensor]:
        """Maps (B, C_m, H_m, W_m) and present (B, M) to maps of the same shapes."""
        joint = F.relu(self.squeeze(torch.cat(pool(maps, present), dim=1)))  # (B, width)
        gates = [2 * excite(joint).sigmoid() for excite in self.excite]  # M x (B, C_m)
        return [x * gate[..., None, None] for x, gate in zip(maps, gates, strict=True)]


class MMTM(nn.Module):
    """Backbones in step, with a `Transfer` after each stage, and a head per view.

    A missing view is squeezed to zeros and has no say in the mean of the logits.
    """

    def __init__(
        self,
        *,
        backbones: Sequence[Backbone],
        modalities: int,
        classes: int,
        dropout: float,
        ratio: int = 4,
    ) -> None:
        super().__init__()
        self.backbones = Backbones(backbones, modalities=modalities)
        self.transfers = nn.ModuleList(
            Transfer(channels=channels, ratio=ratio) for channels in self.backbones.stage_channels()
        )
        self.heads = nn.ModuleList(
            Head(dim=channels[-1], classes=classes, dropout=dropout)
            for channels in self.backbones.channels
        )

    def forward(self, images: Sequence[Tensor], present: Tensor) -> Output:
        """Images per modality (B, 3, H, W) and present (B, M) to logits (B, C)."""
        maps = self.backbones.in_step(
            images, present, lambda stage, maps: self.transfers[stage](maps, present)
        )
        pooled = pool(maps, present)  # M x (B, C_m)
        logits = tuple(head(x) for head, x in zip(self.heads, pooled, strict=True))
        return Output(logits=mean_logits(logits, present), auxiliary=logits)
