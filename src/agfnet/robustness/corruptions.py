"""Image corruptions of clinical practice, at five severities each.

Corruptions act on the decoded image, before it is prepared for the network, as in practice: a
preparation that removes annotations or detects the skin surface is evaluated with them. They depend
on the size of the image only through its proportions. The random part of a corruption (side,
position) is drawn from the lesion and not from the severity, so that the five severities of a
lesion are five levels of the same corruption.

After Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and
perturbations", ICLR 2019; the corruptions and their levels are ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from agfnet.config import ModalityType
from agfnet.robustness import corruptions_photo as photo
from agfnet.robustness import corruptions_ultrasound as ultrasound
from agfnet.robustness.corruptions_photo import Pixels

SEVERITIES = (1, 2, 3, 4, 5)


class Corruption(NamedTuple):
    """A corruption and its level at each severity."""

    title: str
    change: Callable[[Pixels, float, np.random.Generator], Pixels]
    levels: tuple[float, float, float, float, float]
    unit: str


PHOTO = {
    "blur": Corruption(
        "Out of focus",
        photo.blur,
        (0.004, 0.008, 0.013, 0.02, 0.03),
        "standard deviation, fraction of the shorter side",
    ),
    "noise": Corruption(
        "Sensor noise",
        photo.noise,
        (0.04, 0.08, 0.12, 0.18, 0.26),
        "standard deviation, fraction of full scale",
    ),
    "jpeg": Corruption(
        "JPEG compression", photo.jpeg, (40, 25, 15, 10, 7), "quality, at 224 pixels"
    ),
    "brightness": Corruption(
        "Exposure", photo.brightness, (0.5, 1, 1.5, 2, 3), "stops, over or under"
    ),
    "white_balance": Corruption(
        "White balance",
        photo.white_balance,
        (1.05, 1.1, 1.18, 1.3, 1.5),
        "factor of red, and its inverse of blue, or the other way round",
    ),
    "hair": Corruption("Hair", photo.hair, (3, 8, 15, 25, 40), "hairs"),
    "ruler": Corruption(
        "Ruler", photo.ruler, (0.06, 0.1, 0.14, 0.18, 0.24), "width, fraction of the shorter side"
    ),
    "occlusion": Corruption(
        "Covered part", photo.occlusion, (0.05, 0.1, 0.2, 0.3, 0.45), "fraction of the image"
    ),
}
ULTRASOUND = {
    "gain": Corruption("Gain", ultrasound.gain, (3, 6, 9, 12, 16), "dB, up or down"),
    "speckle": Corruption(
        "Speckle", ultrasound.speckle, (0.3, 0.6, 0.9, 1.2, 1.6), "times that of Rayleigh speckle"
    ),
    "attenuation": Corruption(
        "Attenuation", ultrasound.attenuation, (5, 10, 15, 20, 28), "dB at the lower edge"
    ),
    "shadow": Corruption(
        "Shadow", ultrasound.shadow, (0.08, 0.15, 0.25, 0.35, 0.5), "fraction of the width"
    ),
    "depth_scale": Corruption(
        "Depth setting",
        ultrasound.depth_scale,
        (1.15, 1.3, 1.5, 1.8, 2.2),
        "factor of depth, or its inverse",
    ),
    "marks": Corruption(
        "Callipers and text",
        ultrasound.marks,
        (1, 2, 4, 6, 9),
        "annotations: a measured distance or a text",
    ),
}
CORRUPTIONS: dict[ModalityType, dict[str, Corruption]] = {"photo": PHOTO, "ultrasound": ULTRASOUND}
"""By the type of the modality."""


def corrupt(
    pixels: Pixels, *, modality_type: ModalityType, name: str, severity: int, key: str
) -> Pixels:
    """Apply one corruption to one image; the same arguments give the same pixels.

    Args:
        pixels: (H, W, 3), of any height and width.
        modality_type: type of its modality.
        name: a corruption of that type.
        severity: 1 to 5.
        key: seed of the random part: the lesion and frame.

    Returns:
        (H, W, 3).
    """
    corruption = CORRUPTIONS[modality_type][name]
    return corruption.change(pixels, corruption.levels[severity - 1], generator(name, key))


def generator(*parts: str) -> np.random.Generator:
    """Random number generator that depends only on these strings."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))
