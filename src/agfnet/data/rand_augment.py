"""RandAugment with the operations that the type of an image allows.

Cubuk et al., "RandAugment: practical automated data augmentation with a reduced search space",
NeurIPS 2020, as in torchvision. Operations that invert, reduce or equalise the colours of a photo
are left out: equalisation makes skin grey and blue, and naevi black.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pillow
from torchvision.transforms import InterpolationMode, v2

from agfnet.config import ModalityType

OPERATIONS: dict[ModalityType, tuple[str, ...]] = {
    "photo": (
        *("Identity", "ShearX", "ShearY", "Rotate"),
        *("Brightness", "Color", "Contrast", "Sharpness"),
    ),
    "ultrasound": ("Identity", "ShearX", "TranslateX", "Brightness", "Sharpness", "AutoContrast"),
}
"""Names in torchvision. Those of ultrasound change no depth, and keep black what is black."""
BORDER = 0.5
"""Reflection around a photo, as a fraction of its side, so that no black corners appear."""


@cache
def policy(kind: ModalityType, operations: int, magnitude: int) -> v2.RandAugment:
    """Return RandAugment with the operations of a type of image.

    Args:
        kind: type of the images.
        operations: number of operations per image.
        magnitude: strength of each, 0 to 30.
    """

    class Policy(v2.RandAugment):  # type: ignore[misc]  # torchvision has no types
        _AUGMENTATION_SPACE = {  # noqa: RUF012  # torchvision reads it from the class
            name: v2.RandAugment._AUGMENTATION_SPACE[name] for name in OPERATIONS[kind]
        }

    return Policy(operations, magnitude, interpolation=InterpolationMode.BILINEAR)


def rand_augment(
    pixels: NDArray[np.uint8],
    *,
    kind: ModalityType,
    rng: np.random.Generator,
    operations: int,
    magnitude: int,
) -> NDArray[np.uint8]:
    """Apply some random operations; the same generator state gives the same image.

    Args:
        pixels: (H, W, 3).
        kind: type of the image.
        rng: random number generator.
        operations: number of operations.
        magnitude: strength of each, 0 to 30.
    """
    height, width = pixels.shape[:2]
    border = round(BORDER * max(height, width)) if kind == "photo" else 0
    extended = np.pad(pixels, ((border, border), (border, border), (0, 0)), mode="reflect")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**63)))
        image = policy(kind, operations, magnitude)(Pillow.fromarray(extended))
    changed: NDArray[np.uint8] = np.asarray(image)
    return changed[border : border + height, border : border + width]
