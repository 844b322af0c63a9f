"""Quality of an image: brightness, contrast, detail, and colours that do not fit its modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from agfnet.config import ModalityType

SMALL = 256
"""Colour, contrast and detail are measured at this size or up to twice of it."""
BLACK, WHITE = 32, 240
"""Nearly all of an image below or above this grey is nearly black or white."""
TOO_DARK = 64
"""A photograph whose pixels are nearly all below this grey is too dark."""
FLAT = 12
"""Fewest greys between the darkest and the brightest percent."""
BLURRED = 2
"""Detail up to this is that of an image blurred over 4 of 256 pixels or more."""
GREY = 8
"""Chroma below this is that of a grey image, noise of its compression included."""
COLOURED, DARK = 0.6, 0.1
"""A photograph is coloured in at least, and black in at most, these fractions of its area."""
COLOURED_PIXEL = 24
"""Difference of the largest and the smallest channel from which a pixel is coloured."""
DARK_PIXEL = 16
"""Grey below which a pixel is black."""

OTHER_TYPE = ("grey_photo", "colour_ultrasound")
"""Hints that an image is of another type than its modality."""
REPEATED = "repeated"
"""Hint that two images of a lesion are the same."""
PATIENTS = "patients"
"""Hint that the images of a lesion are of several patients."""
ANIMATION = "animation"
"""Hint that an image has further pictures, which are not read."""
HINTS = (
    *("constant", "dark", "bright", "flat", "blurred", *OTHER_TYPE),
    *(REPEATED, PATIENTS, ANIMATION),
)
"""Their texts are in `agfnet/words`."""
SWAPPED = "swapped"


class Appearance(NamedTuple):
    """Brightness, contrast, colour and detail of an image."""

    low: int
    """Grey that 1 % of the pixels lie below."""
    high: int
    """Grey that 1 % of the pixels lie above."""
    constant: bool
    """All pixels have one grey."""
    chroma: int
    """Difference of the largest and the smallest channel that 1 % of the pixels lie above."""
    coloured: float
    """Fraction of pixels with a colour."""
    dark: float
    """Fraction of black pixels."""
    detail: int
    """Second difference between neighbours that one pixel in 200 lies above."""


def measure_appearance(pixels: NDArray[np.uint8]) -> Appearance:
    """Measure an image (H, W, 3)."""
    picture = Pillow.fromarray(pixels)
    small = picture.reduce(max(1, max(picture.size) // SMALL))
    colours, grey = _fractions(chroma_of(np.asarray(small))), np.asarray(small.convert("L"))
    greys = _fractions(grey)
    lowest, highest = greys.nonzero()[0][[0, -1]]
    if lowest == highest:  # a few pixels may differ in the whole image
        lowest, highest = picture.convert("L").getextrema()
    return Appearance(
        low=_quantile(greys, 0.01),
        high=_quantile(greys, 0.99),
        constant=bool(lowest == highest),
        chroma=_quantile(colours, 0.99),
        coloured=float(colours[COLOURED_PIXEL:].sum()),
        dark=float(greys[:DARK_PIXEL].sum()),
        detail=_detail(grey),
    )


def quality_hints(seen: Appearance, modality_type: ModalityType) -> tuple[str, ...]:
    """Return hints on the quality of an image, in the order of `HINTS`."""
    if seen.constant:
        return ("constant",)
    photo = modality_type == "photo"
    tests = {
        "dark": seen.high < (TOO_DARK if photo else BLACK),
        "bright": seen.low >= WHITE,
        "flat": seen.high - seen.low < FLAT,
        "blurred": seen.detail <= BLURRED,
        "grey_photo": photo and seen.chroma < GREY,
        "colour_ultrasound": not photo and seen.coloured >= COLOURED and seen.dark <= DARK,
    }
    return tuple(name for name in HINTS if tests.get(name))


def by_hint(quality: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return the modalities of each hint, in the order of `HINTS`, for one message per hint.

    Args:
        quality: hints by modality.

    Returns:
        A photograph and an ultrasound image that both look like the other type are one message:
        `SWAPPED`.
    """
    modalities = {
        hint: [name for name, hints in quality.items() if hint in hints] for hint in HINTS
    }
    messages = {hint: names for hint, names in modalities.items() if names}
    if set(OTHER_TYPE) <= messages.keys():
        messages[SWAPPED] = [*messages.pop(OTHER_TYPE[0]), *messages.pop(OTHER_TYPE[1])]
    return messages


def chroma_of(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the largest minus the smallest channel (H, W) of (H, W, 3)."""
    # one contiguous array per channel is faster
    red, green, blue = np.ascontiguousarray(np.moveaxis(pixels, 2, 0))
    high = np.maximum(np.maximum(red, green), blue)
    low = np.minimum(np.minimum(red, green), blue)
    return high - low


def _fractions(values: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Fraction of each of 256 values."""
    return np.asarray(Pillow.fromarray(values).histogram()) / values.size


def _quantile(fractions: NDArray[np.float64], level: float) -> int:
    return int(np.searchsorted(np.cumsum(fractions), level))


def _detail(grey: NDArray[np.uint8]) -> int:
    """Return `Appearance.detail` of (H, W): the larger of both directions."""
    largest = 0
    values = grey.astype(np.int16)
    for bend in (
        2 * values[1:-1] - values[:-2] - values[2:],
        2 * values[:, 1:-1] - values[:, :-2] - values[:, 2:],
    ):
        if bend.size:
            limited = np.minimum(np.abs(bend), 255).astype(np.uint8)
            largest = max(largest, _quantile(_fractions(limited), 0.995))
    return largest
