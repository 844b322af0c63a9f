"""JPEG that ends too early or has a hole, of which libjpeg fills in the rest without a word."""

from __future__ import annotations

import re
from io import BytesIO
from typing import BinaryIO

import numpy as np
from PIL import Image as Pillow

from agfnet.errors import ImageError

MISSING = 128
"""Grey of the blocks after the end of the data."""
_END = b"\xff\xd9"
_SCAN = b"\xff\xda"
ADDED = b"\x55" * (1 << 12)
"""Bytes that are decoded as blocks where blocks are missing, and change nothing elsewhere."""
SECTOR = 512
"""Bytes that a disk or a copy loses at a time; they become zeros."""
_NOT_ZERO = re.compile(rb"[^\0]")


def check_end(file: BinaryIO, image: Pillow.Image, size: tuple[int, int] | None) -> None:
    """Check that the data of a decoded JPEG reach its last row, and its last detail.

    Programs that repair a photograph, or cut it to a size, write the mark of the end where the data
    happen to stop. The last row is looked at first, so that the check costs nothing elsewhere; a
    progressive JPEG that stops early is blurred everywhere, so that it is always decoded twice.

    Args:
        file: the JPEG.
        image: its decoded pixels.
        size: that was asked for to decode it smaller, if any.

    Raises:
        ImageError: without a name of the file; they do not.
    """
    pixels = np.asarray(image)
    if image.mode not in ("L", "RGB", "YCbCr"):
        return
    if "progressive" not in image.info and (pixels[-1] != MISSING).any():
        return
    file.seek(0)
    content = file.read()
    data = content[: content.rfind(_END)].rstrip(b"\xff")  # it may have padding
    with Pillow.open(BytesIO(data + ADDED + _END), formats=("JPEG",)) as longer:
        longer.draft(image.mode, size or longer.size)
        try:
            whole = np.array_equal(np.asarray(longer), pixels)
        except OSError:  # the bytes that were added are read, and are no blocks
            whole = False
    if not whole:
        raise ImageError(
            "is damaged or truncated: its data end above the last row or detail; copy or export it "
            "again"
        )


def check_holes(file: BinaryIO, *, jpeg: bool) -> None:
    """Check that no whole sectors of the compressed data are zeros; the file stays where it is.

    A copy from a failing disk or over a bad line leaves them, and they decode to a picture. Zeros
    in an image without a flaw begin and end at the limits of sectors by a rare chance only.

    Args:
        file: a JPEG or WebP.
        jpeg: it is a JPEG, of which the zeros of a header and behind the end do not count.

    Raises:
        ImageError: without a name of the file; there are some.
    """
    position = file.tell()
    file.seek(0)
    content = file.read()
    file.seek(position)
    start = content.find(_SCAN) if jpeg else 0
    stop = content.rfind(_END) if jpeg else len(content)
    at = content.find(bytes(SECTOR), max(start, 0), stop)
    while at >= 0:
        following = _NOT_ZERO.search(content, at)
        end = following.start() if following else len(content)
        if at % SECTOR == 0 and (end % SECTOR == 0 or end == len(content)):
            raise ImageError(
                f"is damaged: its bytes {at} to {end} are zeros, where a part was lost; copy or "
                "export it again"
            )
        at = content.find(bytes(SECTOR), end, stop)
