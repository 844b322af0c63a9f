"""MixUp and CutMix of paired images: a case is mixed with another one, in all its modalities.

MixUp: Zhang et al., 2018, arXiv:1710.09412. CutMix: Yun et al., 2019, arXiv:1905.04899.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.distributions import Beta

from agfnet.types import Batch

MIXUP_BETA = 0.4  # of both parameters of the Beta distribution of the share, and for CutMix 1
CUTMIX_BETA = 1.0


def mix(batch: Batch, *, mixup: float, cutmix: float) -> Batch:
    """Mix the cases of a batch with MixUp or CutMix, or leave them as they are, at random.

    A case is mixed only with one that has the same modalities.

    Args:
        batch: images of (B, 3, H, W) per modality, or (B, D) for MixUp alone.
        mixup: probability of MixUp.
        cutmix: probability of CutMix; the two add up to 1 at most.
    """
    if mixup + cutmix == 0:
        return batch  # and draw nothing: what follows is as it was without mixing
    draw = float(torch.rand(()))
    if draw >= mixup + cutmix or len(batch.labels) < 2:
        return batch
    order = torch.randperm(len(batch.labels), device=batch.labels.device)
    same = (batch.present == batch.present[order]).all(dim=1)
    if draw < mixup:
        share = Beta(MIXUP_BETA, MIXUP_BETA).sample().item()
        images, originals = (
            tuple(blend(image, image[order], same, share) for image in part)
            for part in (batch.images, batch.originals)
        )
    else:
        share = Beta(CUTMIX_BETA, CUTMIX_BETA).sample().item()
        centre = torch.rand(2).tolist()
        share, images = paste(batch.images, order, same, share, centre)
        originals = batch.originals  # maps, which alone need them, are never cut
    shares = torch.where(same, share, 1.0).to(batch.images[0].dtype)
    return replace(
        batch, images=images, originals=originals, partner=batch.labels[order], share=shares
    )


def blend(image: Tensor, other: Tensor, same: Tensor, share: float) -> Tensor:
    """Return share x image + (1 - share) x other where `same` (B,) is True, else the image."""
    mixed = share * image + (1 - share) * other
    return torch.where(same.view(-1, *[1] * (image.ndim - 1)), mixed, image)


def paste(
    images: tuple[Tensor, ...], order: Tensor, same: Tensor, share: float, centre: list[float]
) -> tuple[float, tuple[Tensor, ...]]:
    """Replace a rectangle of each image by that of its partner.

    Args:
        images: (B, 3, H, W) per modality.
        order: partner of each case, (B,).
        same: cases that are mixed, (B,).
        share: area outside the rectangle, before it is cut at the border.
        centre: of the rectangle, as fractions of height and width.

    Returns:
        The area outside the rectangle, mean over modalities, and the images.
    """
    mixed, shares = [], []
    for image in images:
        height, width = image.shape[2:]
        half = 0.5 * (1 - share) ** 0.5
        rows = [round(min(max(centre[0] + side * half, 0), 1) * height) for side in (-1, 1)]
        columns = [round(min(max(centre[1] + side * half, 0), 1) * width) for side in (-1, 1)]
        inside = torch.zeros(height, width, dtype=torch.bool, device=image.device)
        inside[rows[0] : rows[1], columns[0] : columns[1]] = True
        mixed.append(torch.where(same[:, None, None, None] & inside, image[order], image))
        shares.append(1 - float(inside.float().mean()))
    return sum(shares) / len(shares), tuple(mixed)
