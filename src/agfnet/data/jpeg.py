"""JPEG that ends too early, which libjpeg does not report: it makes the other rows grey."""

from __future__ import annotations

from io import BytesIO
from typing import BinaryIO

import numpy as np
from PIL import Image as Pillow

from agfnet.errors import ImageError

MISSING = 128
"""Grey of the blocks after the end of the data."""
_END = b"\xff\xd9"
ADDED = 1 << 12
"""Bytes that are decoded as blocks where blocks are missing, and change nothing elsewhere."""


def check_end(file: BinaryIO, image: Pillow.Image, size: tuple[int, int] | None) -> None:
    """Check that the data of a decoded JPEG reach its last row.

    Programs that repair a photograph, or cut it to a size, write the mark of the end where the data
    happen to stop. The last row is looked at first, so that the check costs nothing elsewhere.

    Args:
        file: the JPEG.
        image: its decoded pixels.
        size: that was asked for to decode it smaller, if any.

    Raises:
        ImageError: without a name of the file; they do not.
    """
    pixels = np.asarray(image)
    if image.mode not in ("L", "RGB") or (pixels[-1] != MISSING).any():
        return
    file.seek(0)
    content = file.read()
    end = content.rfind(_END)
    with Pillow.open(BytesIO(content[:end] + bytes(ADDED) + _END), formats=("JPEG",)) as longer:
        if size is not None:
            longer.draft(None, size)
        if not np.array_equal(np.asarray(longer), pixels):
            raise ImageError(
                "is damaged or truncated: its data end above the last row; copy or export it again"
            )
