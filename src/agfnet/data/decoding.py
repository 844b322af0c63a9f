"""Errors of image decoders, and values of more than 8 bits as 8 bits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from agfnet.errors import ImageError


@contextmanager
def decoder_errors() -> Iterator[None]:
    """Turn whatever a decoder raises on a damaged file into an `ImageError`.

    Only calls of a decoder belong inside: an error in our own code must stay visible.
    """
    try:
        yield
    except ImageError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise ImageError(f"is damaged or truncated: {reason}; copy or export it again") from error


def white_level(maximum: int, *, bits: int = 16) -> int:
    """Return the value that shows as white, for values that were stored with `bits` bits.

    Many devices keep 10, 12 or 14 bits, or 8, in 16 bits without saying so: the fewest bits that
    hold the largest value are those of the device.
    """
    depths = (depth for depth in (8, 10, 12, 14) if depth < bits and maximum < 2**depth)
    return int(2 ** next(depths, bits) - 1)


def to_8_bit(values: NDArray[np.generic], *, white: int) -> NDArray[np.uint8]:
    """Scale values from 0 to `white` to 0 to 255, rounded."""
    if white == 255:
        return values.astype(np.uint8)
    return ((values.astype(np.uint32) * 255 + white // 2) // white).astype(np.uint8)
