"""TIFF copied directory by directory: only tags that are known to be needed, pixels untouched."""

from __future__ import annotations

import struct
from io import BytesIO

from agfnet.data import tiff
from agfnet.data.tiff import Directory
from agfnet.deidentify.jpeg import strip_jpeg
from agfnet.deidentify.profile import without_texts
from agfnet.errors import ImageError

STRIPS, TILES = (273, 279), (324, 325)
"""Tags of the offsets and of the lengths of the pixel data."""
KEPT = (
    *(
        254,
        255,
        256,
        257,
        258,
        259,
        262,
        263,
        266,
        274,
        277,
        278,
        280,
        281,
        282,
        283,
        284,
        290,
        291,
    ),
    *(292, 293, 296, 301, 317, 318, 319, 320, 321, 322, 323, 332, 334, 336, 338, 339, 340, 341),
    *(342, 347, 529, 530, 531, 532, 34675),
)
"""Size, layout, compression, colours, colour profile, orientation and resolution."""
OLD_JPEG, JPEG = 6, 7
JPEG_TABLES, PROFILE = 347, 34675


def strip_tiff(data: bytes) -> bytes:
    """Return the same TIFF with nothing but its pixels and what they need to be shown.

    Every page stays, and so do reduced copies in sub-directories, bit for bit.

    Raises:
        ImageError: it is damaged, or is a camera raw file, or its compression is obsolete.
    """
    pages = tiff.directories(BytesIO(data))
    tiff.frames(pages)  # refuses camera raw files, which need more tags
    first = pages[0]
    copy = bytearray(data[:4])
    if first.big:
        copy += struct.pack(first.order + "HH", 8, 0)
    link = len(copy)
    copy += bytes(_width(first))
    for page in pages:
        link = _append(copy, page, link)
    return bytes(copy)


def _width(page: Directory) -> int:
    """Return the bytes of an offset."""
    return 8 if page.big else 4


def _append(copy: bytearray, page: Directory, link: int) -> int:
    """Append a directory with its pixels, and write its offset at `link`.

    Returns:
        Where the offset of the next directory belongs.
    """
    if page.number(tiff.COMPRESSION, 1) == OLD_JPEG:
        raise ImageError("is TIFF with obsolete JPEG compression (6); convert it to PNG")
    width, offset = _width(page), page.order + ("Q" if page.big else "I")
    entries = {tag: (*page.entries[tag][:2], page.raw(tag)) for tag in KEPT if tag in page.entries}
    if JPEG_TABLES in entries:
        tables = strip_jpeg(entries[JPEG_TABLES][2])
        entries[JPEG_TABLES] = entries[JPEG_TABLES][0], len(tables), tables
    if PROFILE in entries:
        profile = without_texts(entries[PROFILE][2])
        entries[PROFILE] = entries[PROFILE][0], len(profile), profile
        if not profile:
            del entries[PROFILE]
    for offsets, lengths in (STRIPS, TILES):
        if offsets in page.entries:
            parts = _pixel_data(page, offsets, lengths)
            entries[offsets] = _numbers(page, [_put(copy, part) for part in parts])
            entries[lengths] = _numbers(page, [len(part) for part in parts])
    nested = list(page.sub_directories())
    if nested:
        starts: list[int] = []
        for directory in nested:
            copy += bytes(len(copy) % 2)
            at = len(copy)
            copy += bytes(width)
            _append(copy, directory, at)
            starts += struct.unpack_from(offset, copy, at)
        entries[tiff.SUB_DIRECTORIES] = _numbers(page, starts)
    values = {
        tag: content if len(content) <= width else struct.pack(offset, _put(copy, content))
        for tag, (_, _, content) in entries.items()
    }
    copy += bytes(len(copy) % 2)
    struct.pack_into(offset, copy, link, len(copy))
    copy += struct.pack(page.order + ("Q" if page.big else "H"), len(entries))
    for tag in sorted(entries):
        copy += struct.pack(page.order + "HH" + offset[1], tag, *entries[tag][:2])
        copy += values[tag].ljust(width, b"\0")
    copy += bytes(width)
    return len(copy) - width


def _pixel_data(page: Directory, offsets: int, lengths: int) -> list[bytes]:
    """Return the strips or tiles of a directory."""
    positions, sizes = page.numbers(offsets), page.numbers(lengths)
    if len(positions) != len(sizes):
        raise ImageError("is damaged: a TIFF directory does not state the length of its pixels")
    parts = [tiff.read_bytes(page.file, *part) for part in zip(positions, sizes, strict=True)]
    return [strip_jpeg(part) for part in parts] if page.number(tiff.COMPRESSION) == JPEG else parts


def _put(copy: bytearray, content: bytes) -> int:
    """Append bytes at an even position, and return it."""
    copy += bytes(len(copy) % 2)
    copy += content
    return len(copy) - len(content)


def _numbers(page: Directory, numbers: list[int]) -> tuple[int, int, bytes]:
    """Return type, number of values and bytes of a tag of offsets or lengths."""
    code, kind = ("Q", 16) if page.big else ("I", 4)
    return kind, len(numbers), struct.pack(f"{page.order}{len(numbers)}{code}", *numbers)
