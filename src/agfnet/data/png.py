"""Checksums of the pixels of PNG, which Pillow does not compare."""

from __future__ import annotations

import zlib
from typing import BinaryIO

from agfnet.errors import ImageError

_SIGNATURE = 8  # bytes
_PIXELS, _END = b"IDAT", b"IEND"


def check_pixels(file: BinaryIO) -> None:
    """Compare the checksums of the pixels of a PNG; the file stays at its position.

    A copy that stopped half-way, on a disk that had reserved the whole file, ends in zeros. They
    decode to a picture all the same.

    Raises:
        ImageError: without a name of the file; a checksum is wrong.
    """
    position = file.tell()
    file.seek(_SIGNATURE)
    while len(head := file.read(8)) == 8 and head[4:] != _END:
        length = int.from_bytes(head[:4])
        if head[4:] != _PIXELS:
            file.seek(length + 4, 1)
            continue
        pixels, checksum = file.read(length), file.read(4)
        if len(checksum) == 4 and zlib.crc32(pixels, zlib.crc32(_PIXELS)) != int.from_bytes(
            checksum
        ):
            raise ImageError(
                "is damaged or truncated: a checksum is wrong; copy or export it again"
            )
    file.seek(position)
