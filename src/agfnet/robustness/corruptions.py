"""Images as they come in life: what may be wrong with them, at five severities each.

Corruptions act on the decoded image, before it is prepared for the network: in life they do, and a
preparation that removes marks or finds the skin is tried with them. They depend on the image's
size only through its proportions. What is random about a corruption (which side, where) is drawn
from the lesion and not from the severity, so that five severities are five steps of one thing.

After Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and
perturbations", ICLR 2019; the corruptions and their levels are our own.
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
    """What is done to an image, and how much of it at each severity."""

    title: str
    change: Callable[[Pixels, float, np.random.Generator], Pixels]
    levels: tuple[float, float, float, float, float]
    unit: str


PHOTO = {
    "blur": Corruption(
        "Out of focus",
        photo.blur,
        (0.004, 0.008, 0.013, 0.02, 0.03),
        "standard deviation, share of the shorter side",
    ),
    "noise": Corruption(
        "Sensor noise",
        photo.noise,
        (0.04, 0.08, 0.12, 0.18, 0.26),
        "standard deviation, share of full scale",
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
        "Ruler", photo.ruler, (0.06, 0.1, 0.14, 0.18, 0.24), "width, share of the shorter side"
    ),
    "occlusion": Corruption(
        "Covered part", photo.occlusion, (0.05, 0.1, 0.2, 0.3, 0.45), "share of the image"
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
        "Shadow", ultrasound.shadow, (0.08, 0.15, 0.25, 0.35, 0.5), "share of the width"
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
        "marks: a measured distance or a text",
    ),
}
CORRUPTIONS: dict[ModalityType, dict[str, Corruption]] = {"photo": PHOTO, "ultrasound": ULTRASOUND}
"""By the kind of the modality."""


def corrupt(pixels: Pixels, *, kind: ModalityType, name: str, severity: int, key: str) -> Pixels:
    """One image with one corruption; the same arguments give the same pixels.

    Args:
        pixels: (H, W, 3), of any height and width.
        kind: of its modality.
        name: a corruption of that kind.
        severity: 1 to 5.
        key: what the randomness is drawn from: the lesion and frame.

    Returns:
        (H, W, 3).
    """
    found = CORRUPTIONS[kind][name]
    return found.change(pixels, found.levels[severity - 1], generator(name, key))


def generator(*parts: str) -> np.random.Generator:
    """Randomness that depends on these words alone."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))
