"""Training of AMFAM: an adversary that predicts the modality, and a reconstructed image.

Paper: Wang, Feng, Zhang, Zhou, Liu, Goh and Zhen, "Adversarial multimodal fusion with attention
mechanism for skin lesion classification using clinical and dermoscopic images", Medical Image
Analysis 81:102535, 2022, doi 10.1016/j.media.2022.102535.

Faithful to its abstract: a discriminator predicts which modality a vector comes from, and the
backbones learn to prevent that, so that the vectors carry what the modalities share; the image is
reconstructed from the attended features, so that the attention finds the lesion. Our reading: the
adversary is trained through a reversed gradient, whose strength grows as in Ganin et al., JMLR
17(59), 2016; the image is reconstructed at an eighth of its resolution (for backbones of stride
32), with each position weighted by its attention; the weights of the two losses are ours.

The network itself is unchanged: same parameters, same names, same inference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agfnet.models.baselines.amfam import AMFAM, AttendedFeatures
from agfnet.training.processes import ALONE, World
from agfnet.training.supervised import SupervisedTask, drop_modalities
from agfnet.types import Batch

UPSCALE = 4  # side of the reconstructed image divided by the side of the map


class AdversarialTask(nn.Module):
    """Supervised training with an adversary and the reconstruction of the images.

    Args:
        supervised: the supervised task; its model must be an `AMFAM` network.
        adversarial_weight: weight of the adversary's loss.
        reconstruction_weight: weight of the reconstruction loss.
    """

    def __init__(
        self,
        *,
        supervised: SupervisedTask,
        adversarial_weight: float = 0.1,
        reconstruction_weight: float = 0.1,
    ) -> None:
        super().__init__()
        self.supervised = supervised
        self.adversarial_weight = adversarial_weight
        self.reconstruction_weight = reconstruction_weight
        dim, modalities = self.model.dim, self.model.backbones.modalities
        self.discriminator = nn.Sequential(
            nn.Linear(dim, dim), nn.LeakyReLU(0.2), nn.Linear(dim, modalities)
        )
        self.decoders = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(dim, dim, kernel_size=1),
                nn.ReLU(),
                nn.Conv2d(dim, 3 * UPSCALE**2, kernel_size=1),
                nn.PixelShuffle(UPSCALE),
            )
            for _ in range(modalities)
        )

    @property
    def model(self) -> AMFAM:
        """The network that is trained."""
        return cast(AMFAM, self.supervised.model)

    def forward(self, batch: Batch, progress: float, world: World = ALONE) -> dict[str, Tensor]:
        """Named losses; `loss` is their weighted sum. `progress` is 0 to 1 over the training."""
        batch = drop_modalities(batch, self.supervised.modality_dropout)
        features = self.model.forward_features(batch.images, batch.present)
        output = self.model.forward_head(features, batch.present)
        losses = self.supervised.losses(output, batch, world)
        vectors = reverse_gradient(features.vectors, reversal_strength(progress))
        logits = self.discriminator(vectors)  # (B, M, M)
        losses["adversarial"] = modality_loss(logits, batch.present, world)
        images = batch.originals or batch.images
        losses["reconstruction"] = self.image_loss(features, images, batch.present, world)
        losses["loss"] = (
            losses["loss"]
            + self.adversarial_weight * losses["adversarial"]
            + self.reconstruction_weight * losses["reconstruction"]
        )
        return losses

    def image_loss(
        self,
        features: AttendedFeatures,
        images: Sequence[Tensor],
        present: Tensor,
        world: World = ALONE,
    ) -> Tensor:
        """Mean distance of the reconstructed images to the images of the present modalities."""
        distances = [
            weighted_distance(decoder(feature), image, attention.detach())
            for decoder, feature, image, attention in zip(
                self.decoders, features.maps, images, features.attention, strict=True
            )
        ]
        total = (torch.stack(distances, dim=1) * present).sum()
        return world.mean(total, present.sum(), len(present))


def reverse_gradient(x: Tensor, strength: float) -> Tensor:
    """Return the same values with their gradient multiplied by `-strength`."""
    return (1 + strength) * x.detach() - strength * x


def reversal_strength(progress: float) -> float:
    """Strength of the reversed gradient, from 0 at the start of training to nearly 1 at its end."""
    return 2 / (1 + math.exp(-10 * progress)) - 1


def modality_loss(logits: Tensor, present: Tensor, world: World = ALONE) -> Tensor:
    """Mean cross-entropy over present (B, M) of logits (B, M, M); row m is of modality m."""
    target = torch.arange(logits.shape[1], device=logits.device).expand(len(logits), -1)
    total = F.cross_entropy(logits[present], target[present], reduction="sum")
    return world.mean(total, present.sum(), len(present))


def weighted_distance(reconstructed: Tensor, image: Tensor, attention: Tensor) -> Tensor:
    """Mean absolute difference (B,) to the image (B, 3, H, W) at the size of `reconstructed`.

    A position is weighted by its attention (B, 1, h, w), relative to the mean attention.
    """
    size = (reconstructed.shape[2], reconstructed.shape[3])
    weight = F.interpolate(attention, size=size, mode="nearest")
    weight = weight / weight.mean(dim=(2, 3), keepdim=True).clamp_min(1e-6)
    difference = (reconstructed - F.adaptive_avg_pool2d(image, size)).abs()
    return (difference * weight).mean(dim=(1, 2, 3))
