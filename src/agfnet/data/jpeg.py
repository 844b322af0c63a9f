"""JPEG, WebP and HEIC that end too early or have a hole, which decoders fill in without a word."""

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
_JPEG = ("JPEG", "MPO")
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


def check_holes(file: BinaryIO, image_format: str) -> None:
    """Check that no whole sectors of the compressed data are zeros; the file stays where it is.

    A copy from a failing disk or over a bad line leaves them, and they decode to a picture. Zeros
    in an image without a flaw begin and end at the limits of sectors by a rare chance only.

    Args:
        file: a JPEG, WebP or HEIC.
        image_format: its name in Pillow; MPO is JPEG.

    Raises:
        ImageError: without a name of the file; there are some.
    """
    position = file.tell()
    file.seek(0)
    content = file.read()
    file.seek(position)
    start, stop = _pixel_data(content, image_format)
    at = content.find(bytes(SECTOR), start, stop)
    while at >= 0:
        following = _NOT_ZERO.search(content, at)
        end = following.start() if following else len(content)
        # a copy may stop at any byte; a JPEG then lacks the mark of its end
        stopped = end >= stop and image_format not in _JPEG
        if stopped or (at % SECTOR == 0 and end % SECTOR == 0):
            raise ImageError(
                f"is damaged: its bytes {at} to {min(end, stop)} are zeros, where a part was lost; "
                "copy or export it again"
            )
        at = content.find(bytes(SECTOR), end, stop)


def _pixel_data(content: bytes, image_format: str) -> tuple[int, int]:
    """Return where the compressed data begin and end, without what is padded with zeros."""
    if image_format == "WEBP":
        return 0, min(len(content), 8 + int.from_bytes(content[4:8], "little"))
    if image_format in _JPEG:
        return max(content.find(_SCAN), 0), content.rfind(_END)
    start = max(content.find(b"mdat"), 0)  # HEIC
    size = int.from_bytes(content[start - 4 : start]) if start >= 4 else 0
    return start, start - 4 + size if 8 < size <= len(content) - start + 4 else len(content)
