"""AMFAM-style fusion: views whose features tell the lesion, and not which view they come from.

Paper: Wang, Feng, Zhang, Zhou, Liu, Goh and Zhen, "Adversarial multimodal fusion with attention
mechanism for skin lesion classification using clinical and dermoscopic images", Medical Image
Analysis 81:102535, 2022, doi 10.1016/j.media.2022.102535.

This file holds what answers: attention over each view's last map, vectors of width d, and a head on
all of them. What the paper adds in training, the adversary and the reconstruction, is a task
(`agfnet.training.adversarial`), which also says what is faithful there. Adapted here: the mechanism
is read from the abstract; the attention is one weight in (0, 1) per place, by a 1 x 1 convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from agfnet.models.backbone import Backbone, Backbones
from agfnet.models.heads import Head
from agfnet.types import Output


class Attended(NamedTuple):
    """What the network sees of M views."""

    features: tuple[Tensor, ...]  # per modality (B, d, H, W), weighed by the attention
    attention: tuple[Tensor, ...]  # per modality (B, 1, H, W), in (0, 1)
    vectors: Tensor  # (B, M, d), averages of the features by the attention


class Adversarial(nn.Module):
    """Attention-weighted average of each backbone's last map at width d, concatenated, a head.

    A missing view enters the head as zeros.
    """

    def __init__(
        self,
        *,
        backbones: Sequence[Backbone],
        modalities: int,
        classes: int,
        dropout: float,
        dim: int,
    ) -> None:
        super().__init__()
        self.modalities = modalities
        self.dim = dim
        self.backbones = Backbones(backbones, modalities=modalities)
        widths = [channels[-1] for channels in self.backbones.channels]
        self.project = nn.ModuleList(nn.Conv2d(c, dim, kernel_size=1) for c in widths)
        self.attend = nn.ModuleList(nn.Conv2d(c, 1, kernel_size=1) for c in widths)
        self.head = Head(dim=modalities * dim, classes=classes, dropout=dropout)

    def forward(self, images: Sequence[Tensor], present: Tensor) -> Output:
        """Images per modality (B, 3, H, W) and present (B, M) to logits (B, C)."""
        return self.decide(self.encode(images, present), present)

    def encode(self, images: Sequence[Tensor], present: Tensor) -> Attended:
        """Backbones and attention."""
        maps = [found[-1] for found in self.backbones(images, present)]  # M x (B, C_m, H_m, W_m)
        attention = tuple(attend(x).sigmoid() for attend, x in zip(self.attend, maps, strict=True))
        features = tuple(
            project(x) * a for project, x, a in zip(self.project, maps, attention, strict=True)
        )
        vectors = [
            x.sum(dim=(2, 3)) / a.sum(dim=(2, 3)).clamp_min(1e-6)
            for x, a in zip(features, attention, strict=True)
        ]
        return Attended(features, attention, torch.stack(vectors, dim=1))

    def decide(self, found: Attended, present: Tensor) -> Output:
        """The head."""
        return Output(logits=self.head((found.vectors * present[..., None]).flatten(1)))
