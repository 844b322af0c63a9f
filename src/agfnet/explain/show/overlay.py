"""Evidence laid over an image, and a bar that tells its scale."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from PIL import Image

COLOURS = "viridis"
"""Perceptually uniform, the same to colour-blind readers; neither skin nor ultrasound has them."""
LOW = 0.25  # share of the strongest evidence below which none is shown
OPACITY = 0.8  # of the strongest
THUMBNAIL = 320  # longest side in pixels; shown at half, so that it is sharp on dense screens
UNSEEN = 0.4  # brightness of what the network does not see


def overlay(
    pixels: npt.NDArray[np.uint8], evidence: npt.NDArray[np.floating]
) -> npt.NDArray[np.uint8]:
    """Evidence (h, w) laid over an image (H, W, 3): viridis, and nothing where it is low.

    Where it is nan, which the network does not see, the image is darkened.
    """
    height, width = pixels.shape[:2]
    unseen = np.isnan(evidence)
    known = np.where(unseen, 0, evidence).astype(np.float32)
    if unseen.any():
        dark = np.rint(UNSEEN * pixels).astype(np.uint8)
        pixels = np.where(
            _resized(unseen.astype(np.float32), width, height)[..., None] > 0.5, dark, pixels
        )
    top = float(known.max())
    if not top > 0:
        return pixels
    share = np.clip(_resized(known / top, width, height), 0, 1)
    colour = colormaps[COLOURS](share)[..., :3] * 255
    cover = OPACITY * np.clip((share - LOW) / (1 - LOW), 0, 1)[..., None]
    laid: npt.NDArray[np.uint8] = np.rint((1 - cover) * pixels + cover * colour).astype(np.uint8)
    return laid


def thumbnail(pixels: npt.NDArray[np.uint8]) -> str:
    """A small JPEG of an image (H, W, 3) as a data URI."""
    image = Image.fromarray(pixels).convert("RGB")
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _resized(values: npt.NDArray[np.float32], width: int, height: int) -> npt.NDArray[np.float32]:
    image = Image.fromarray(values).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image)


def bar_length(width: float) -> float:
    """Length of the scale bar for an image of this width: 1, 2 or 5 times a power of ten.

    The longest that is at most a third of the width; in whatever unit the width has.
    """
    power = 10.0 ** np.floor(np.log10(width / 3))
    return float(max(power * step for step in (1, 2, 5) if power * step <= width / 3))
