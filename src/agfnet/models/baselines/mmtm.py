"""MMTM: after each stage, the channels of every modality are gated by all modalities.

Paper: Joze, Shaban, Iuzzolino and Koishida, "MMTM: Multimodal Transfer Module for CNN Fusion", CVPR
2020, arXiv:1911.08670.

Faithful: each map is squeezed to its global average; a joint vector has a quarter of the channels;
one excitation per modality; gates 2 sigmoid(.) start near 1 and keep pretrained features; the gated
maps enter the next stage of their backbones; the prediction is the mean of the modalities' logits.
Adapted: after each of the last `fusion.scales` stages; a backbone that timm does not run as a chain
of modules (vision transformers, HRNet, Xception) is gated at its last map only; the logits of each
modality are supervised as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agfnet.models.backbone import Backbones, pool
from agfnet.models.baselines.late_fusion import mean_logits
from agfnet.models.heads import Head
from agfnet.models.network import Network
from agfnet.types import Output


class Transfer(nn.Module):
    """Squeeze, joint excitation and gates of the maps of all modalities at one stage.

    Args:
        channels: C of each modality's map.
        ratio: number of all channels together divided by the width of the joint vector.
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


class MMTM(Network):
    """Backbones with a `Transfer` after each stage, and a head per modality.

    A missing modality is squeezed to zeros and left out of the mean of the logits.
    """

    def __init__(
        self, *, backbones: Backbones, classes: int, dropout: float, ratio: int = 4
    ) -> None:
        super().__init__(backbones=backbones)
        self.transfers = nn.ModuleList(
            Transfer(channels=channels, ratio=ratio) for channels in backbones.stage_channels()
        )
        self.heads = nn.ModuleList(
            Head(dim=channels[-1], classes=classes, dropout=dropout)
            for channels in backbones.channels
        )

    def forward(self, images: Sequence[Tensor], present: Tensor) -> Output:
        """Images per modality (B, 3, H, W) and present (B, M) to logits (B, C)."""
        maps = self.backbones.forward_stages(
            images, present, lambda stage, maps: self.transfers[stage](maps, present)
        )
        pooled = pool(maps, present)  # M x (B, C_m)
        logits = tuple(head(x) for head, x in zip(self.heads, pooled, strict=True))
        return Output(logits=mean_logits(logits, present), auxiliary=logits)
