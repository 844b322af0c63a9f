"""Statements of DICOM about its values, corrected or refused where these clearly say otherwise.

Programs that convert files leave attributes as they were: planes that are stated as pixels, YCbCr
that is called RGB, unsigned values that are called signed. Each shows as another picture.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agfnet.data.dicom_jpeg import Colours, from_ycbcr, greyness
from agfnet.errors import ImageError

MIN_SIDE = 32
"""Pixels below which an image is taken as it is stated."""
STEP = 8
"""Columns, and for colours rows, of which one is looked at."""
ROUGHER = 1.1
"""Ratio of the steps between rows from which the other order or sign is the right one.

The wrong order is rougher by 1.15 at least, in photographs and in speckle alike."""
RGB, YCBCR = 0.8, 0.5
"""Greyness above which colours are RGB, and below which they are YCbCr: skin and speckle have 0.94
at least as RGB, and 0.37 at most as YCbCr."""
CHROMA = (96, 160)
"""Medians of the two chroma channels of YCbCr; 128 is grey."""


def corrected_order(values: NDArray[Any], *, by_plane: bool) -> NDArray[Any]:
    """Return colours (H, W, 3) in the order that makes a picture, where the stated one does not.

    Args:
        values: read as they are stated.
        by_plane: they are stated as one plane for each channel.
    """
    height, width, channels = values.shape
    if by_plane:
        stored = np.ascontiguousarray(values.transpose(2, 0, 1))
        other = stored.reshape(height, width, channels)
    else:
        stored = np.ascontiguousarray(values)
        other = stored.reshape(channels, height, width).transpose(1, 2, 0)
    return np.ascontiguousarray(other) if _is_rougher(values, other) else values


def lowest_bits(values: NDArray[Any], bits: int, *, signed: bool) -> NDArray[Any]:
    """Return the lowest bits of values; an overlay in the others is left out.

    Raises:
        ImageError: without a name of the file; the values make a picture only with more bits.
    """
    if values.dtype.kind == "f" or bits >= 8 * values.itemsize:
        return values
    low = values.astype(np.int64) & (2**bits - 1)
    if signed:
        low -= (low >> (bits - 1)) << bits
    if np.array_equal(low, values):
        return values
    if _continues(values, low, bits):
        raise ImageError(
            f"states {bits} in BitsStored, but its values have more bits; correct BitsStored"
        )
    return low.astype(values.dtype)


def _continues(values: NDArray[Any], low: NDArray[np.int64], bits: int) -> bool:
    """Return whether the higher bits continue the lower ones; those of an overlay do not."""
    high = (values - low) >> bits
    used = np.unique(high)
    if len(used) > 2 and used[-1] - used[0] == len(used) - 1:
        return True
    carried = np.diff(high, axis=0) != 0
    steps = (np.abs(np.diff(v.astype(np.int64), axis=0))[carried] for v in (values, low))
    return bool(carried.any()) and float(np.subtract(*map(np.median, steps))) < 0


def is_unsigned(values: NDArray[Any], bits: int) -> bool:
    """Return whether signed values (H, W) make a picture only as unsigned ones."""
    return _is_rougher(values, values.astype(np.int64) & (2**bits - 1))


def colours_of(values: NDArray[np.uint8]) -> Colours | None:
    """Return what values (H, W, 3) clearly are; None if they could be either.

    The channels of RGB rise and fall together, and those of YCbCr do not.
    """
    if min(values.shape[:2]) < MIN_SIDE:
        return None
    some = values[::STEP, ::STEP]
    grey = greyness(some)
    if grey > RGB:
        return "RGB"
    low, high = CHROMA
    chroma = np.median(some[..., 1:], axis=(0, 1))
    likely = 0 < grey < YCBCR and ((low < chroma) & (chroma < high)).all()
    return "YCbCr" if likely and greyness(from_ycbcr(some)) > RGB else None


def _is_rougher(values: NDArray[Any], other: NDArray[Any]) -> bool:
    if min(values.shape[:2]) < MIN_SIDE:
        return False
    stated, opposite = (
        float(np.abs(np.diff(v[:, ::STEP].astype(np.int64), axis=0)).mean())
        for v in (values, other)
    )
    return stated > ROUGHER * opposite
