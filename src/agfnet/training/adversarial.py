"""AMFAM's part in training: an adversary that asks for the view, and a rebuilt image.

Paper: Wang, Feng, Zhang, Zhou, Liu, Goh and Zhen, "Adversarial multimodal fusion with attention
mechanism for skin lesion classification using clinical and dermoscopic images", Medical Image
Analysis 81:102535, 2022, doi 10.1016/j.media.2022.102535.

Faithful to its abstract: a discriminator tells which view a vector comes from, and the backbones
learn to prevent that, so that vectors carry what the views share; the image is rebuilt from the
attended features, so that the attention finds the lesion. Our reading: the adversary is trained
through a reversed gradient, which grows as in Ganin et al., JMLR 17(59), 2016; the image is rebuilt
at an eighth of its resolution (for backbones of stride 32), each place counting by its attention;
the weights of the two losses are ours.

The network itself is untouched: same parameters, same names, same inference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agfnet.models.baselines.amfam import AMFAM, AttendedFeatures
from agfnet.training.supervised import SupervisedTask, drop_modalities
from agfnet.types import Batch

ENLARGE = 4  # the rebuilt image has so many times the side of the map


class AdversarialTask(nn.Module):
    """Supervised training with the adversary and the reconstruction on top.

    Args:
        supervised: the supervised task; its model must be an `AMFAM` network.
        align: weight of the adversary's loss.
        rebuild: weight of the reconstruction loss.
    """

    def __init__(
        self, *, supervised: SupervisedTask, align: float = 0.1, rebuild: float = 0.1
    ) -> None:
        super().__init__()
        self.supervised = supervised
        self.align = align
        self.rebuild = rebuild
        dim, modalities = self.model.dim, self.model.backbones.modalities
        self.discriminator = nn.Sequential(
            nn.Linear(dim, dim), nn.LeakyReLU(0.2), nn.Linear(dim, modalities)
        )
        self.decoders = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(dim, dim, kernel_size=1),
                nn.ReLU(),
                nn.Conv2d(dim, 3 * ENLARGE**2, kernel_size=1),
                nn.PixelShuffle(ENLARGE),
            )
            for _ in range(modalities)
        )

    @property
    def model(self) -> AMFAM:
        """The network that is trained."""
        return cast(AMFAM, self.supervised.model)

    def forward(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Named losses; `loss` is their weighted sum. `progress` is 0 to 1 over the training."""
        batch = drop_modalities(batch, self.supervised.modality_dropout)
        found = self.model.forward_features(batch.images, batch.present)
        losses = self.supervised.losses(self.model.forward_head(found, batch.present), batch)
        asked = self.discriminator(reverse(found.vectors, reversal(progress)))  # (B, M, M)
        losses["align"] = which_view(asked, batch.present)
        losses["rebuild"] = self.distance(found, batch.images, batch.present)
        losses["loss"] = (
            losses["loss"] + self.align * losses["align"] + self.rebuild * losses["rebuild"]
        )
        return losses

    def distance(
        self, found: AttendedFeatures, images: Sequence[Tensor], present: Tensor
    ) -> Tensor:
        """Mean over the present views of how far the rebuilt images are from the images."""
        views = [
            weighted_distance(decoder(feature), image, attention.detach())
            for decoder, feature, image, attention in zip(
                self.decoders, found.maps, images, found.attention, strict=True
            )
        ]
        return (torch.stack(views, dim=1) * present).sum() / present.sum().clamp_min(1)


def reverse(x: Tensor, strength: float) -> Tensor:
    """The same values, with a gradient of `-strength` times what comes back."""
    return (1 + strength) * x.detach() - strength * x


def reversal(progress: float) -> float:
    """Strength of the reversed gradient, from 0 at the start of training to nearly 1 at its end."""
    return 2 / (1 + math.exp(-10 * progress)) - 1


def which_view(logits: Tensor, present: Tensor) -> Tensor:
    """Mean cross-entropy of logits (B, M, M) that row m comes from view m, over present (B, M)."""
    target = torch.arange(logits.shape[1], device=logits.device).expand(len(logits), -1)
    return F.cross_entropy(logits[present], target[present], reduction="sum") / present.sum()


def weighted_distance(rebuilt: Tensor, image: Tensor, attention: Tensor) -> Tensor:
    """Mean absolute difference (B,) to the image (B, 3, H, W) at the size of `rebuilt`.

    A place counts by the attention (B, 1, h, w) that it has, relative to its mean over the view.
    """
    size = (rebuilt.shape[2], rebuilt.shape[3])
    weight = F.interpolate(attention, size=size, mode="nearest")
    weight = weight / weight.mean(dim=(2, 3), keepdim=True).clamp_min(1e-6)
    return ((rebuilt - F.adaptive_avg_pool2d(image, size)).abs() * weight).mean(dim=(1, 2, 3))
