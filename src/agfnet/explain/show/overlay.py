"""Attribution maps over an image, thumbnails, and the length of a scale bar."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from agfnet.explain.compute.colours import colour_map, cover

OPACITY = 0.8  # of the highest attribution
THUMBNAIL = 320  # longest side in pixels; shown at half, so that it is sharp on dense screens
UNSEEN = 0.4  # brightness of what the network does not see


def overlay(
    pixels: npt.NDArray[np.uint8], attribution: npt.NDArray[np.floating]
) -> npt.NDArray[np.uint8]:
    """Draw a map (h, w) over an image (H, W, 3) in viridis, transparent where it is low.

    The image is darkened where the map is nan, because the network does not see it.
    """
    height, width = pixels.shape[:2]
    unseen = np.isnan(attribution)
    known = np.where(unseen, 0, attribution).astype(np.float32)
    if unseen.any():
        dark = np.rint(UNSEEN * pixels).astype(np.uint8)
        pixels = np.where(
            _resized(unseen.astype(np.float32), width, height)[..., None] > 0.5, dark, pixels
        )
    top = float(known.max())
    if not top > 0:
        return pixels
    level = np.clip(_resized(known / top, width, height), 0, 1)
    opacity = OPACITY * cover(level)[..., None]
    blended = np.rint((1 - opacity) * pixels + opacity * 255 * colour_map(level))
    return blended.astype(np.uint8)


def thumbnail(pixels: npt.NDArray[np.uint8]) -> str:
    """Return a small JPEG of an image (H, W, 3) as a data URI."""
    image = Image.fromarray(pixels).convert("RGB")
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _resized(values: npt.NDArray[np.float32], width: int, height: int) -> npt.NDArray[np.float32]:
    image = Image.fromarray(values).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image)


def bar_length(width: float) -> float:
    """Length of the scale bar for an image of this width, in the same unit.

    The largest of 1, 2 or 5 times a power of ten that is at most a third of the width.
    """
    power = 10.0 ** np.floor(np.log10(width / 3))
    # the half, where rounding makes the power larger than the third
    return float(max(power * step for step in (0.5, 1, 2, 5) if power * step <= width / 3))
