"""AMFAM-style fusion: features that identify the lesion, but not the modality they come from.

Paper: Wang, Feng, Zhang, Zhou, Liu, Goh and Zhen, "Adversarial multimodal fusion with attention
mechanism for skin lesion classification using clinical and dermoscopic images", Medical Image
Analysis 81:102535, 2022, doi 10.1016/j.media.2022.102535.

This file holds the network: attention over the last map of each modality, vectors of width d, and a
head on all of them. The parts that the paper adds in training, the adversary and the
reconstruction, are a task (`agfnet.training.adversarial`), which also says what is faithful there.
Adapted here: the mechanism is read from the abstract; the attention is one weight in (0, 1) per
position, by a 1 x 1 convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from agfnet.models.backbone import Backbones
from agfnet.models.heads import Head
from agfnet.models.network import Calls, Network
from agfnet.types import Output


class AttendedFeatures(NamedTuple):
    """Features of M modalities, weighted by their attention."""

    maps: tuple[Tensor, ...]  # per modality (B, d, H, W), multiplied by the attention
    attention: tuple[Tensor, ...]  # per modality (B, 1, H, W), in (0, 1)
    vectors: Tensor  # (B, M, d), attention-weighted means of the projected maps


class AMFAM(Network):
    """Attention-weighted average of each backbone's last map at width d, concatenated, a head.

    The features of a missing modality are zeros.
    """

    def __init__(self, *, backbones: Backbones, classes: int, dropout: float, dim: int) -> None:
        super().__init__(backbones=backbones)
        self.dim = dim
        widths = [channels[-1] for channels in backbones.channels]
        self.project = nn.ModuleList(nn.Conv2d(c, dim, kernel_size=1) for c in widths)
        self.attend = nn.ModuleList(nn.Conv2d(c, 1, kernel_size=1) for c in widths)
        self.head = Head(dim=len(widths) * dim, classes=classes, dropout=dropout)

    def forward(self, images: Sequence[Tensor], present: Tensor) -> Output:
        """Images per modality (B, 3, H, W) and present (B, M) to logits (B, C)."""
        return self.forward_head(self.forward_features(images, present), present)

    def forward_features(self, images: Sequence[Tensor], present: Tensor) -> AttendedFeatures:
        """Backbones and attention."""
        maps = self.backbones.last_maps(images, present)  # M x (B, C_m, H_m, W_m)
        attention = tuple(attend(x).sigmoid() for attend, x in zip(self.attend, maps, strict=True))
        attended = tuple(
            project(x) * a for project, x, a in zip(self.project, maps, attention, strict=True)
        )
        vectors = [
            x.sum(dim=(2, 3)) / a.sum(dim=(2, 3)).clamp_min(1e-6)
            for x, a in zip(attended, attention, strict=True)
        ]
        return AttendedFeatures(attended, attention, torch.stack(vectors, dim=1))

    def forward_head(self, features: AttendedFeatures, present: Tensor) -> Output:
        """The head."""
        return Output(logits=self.head((features.vectors * present[..., None]).flatten(1)))

    def recorded_modules(self) -> list[nn.Module]:
        """The convolutions whose output is the attention before the sigmoid."""
        return list(self.attend)

    def guides(self, calls: Calls) -> tuple[tuple[Tensor, ...], ...]:
        """Attention of each modality at its last map."""
        return tuple((calls.output(attend).sigmoid()[:, 0],) for attend in self.attend)
