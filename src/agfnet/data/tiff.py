"""TIFF: its directories, which of its pages are frames, and what Pillow reads wrongly or not."""

from __future__ import annotations

import math
import os
import re
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image as Pillow
from PIL import TiffImagePlugin
from PIL.ImageFile import _Tile

from agfnet.errors import ImageError

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MAX_DIRECTORIES = 100_000
# tags
SUBFILE_TYPE, OLD_SUBFILE_TYPE, WIDTH, HEIGHT, BITS = 254, 255, 256, 257, 258
COMPRESSION, PHOTOMETRIC, SAMPLES, PLANAR = 259, 262, 277, 284
STRIPS, ROWS_PER_STRIP, TILE_WIDTH, TILE_HEIGHT, TILES = 273, 278, 322, 323, 324
OLD_JPEG, JPEG, RGB, YCBCR = 6, 7, 2, 6
COLOUR_MAP, DESCRIPTION = 320, 270
SUB_DIRECTORIES, SAMPLE_FORMAT, DNG_VERSION = 330, 339, 50706
WHITE_IS_ZERO, TRANSPARENCY_MASK, SENSOR_VALUES = 0, 4, (32803, 34892)
SIGNED, FLOATING_POINT = 2, 3
JPEG_HEAD = 64
"""Bytes within which JPEG data name their colours."""
TEXT, MAX_DESCRIPTION = 2, 100_000
_CHANNELS = re.compile(
    r"^ImageJ=[\s\S]*?^channels=(\d+)\s|<Pixels\b[^>]*\bSizeC=\"(\d+)\"", re.MULTILINE
)
PHOTOMETRIC_NAMES = {
    **{0: "white is zero", 1: "black is zero", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr"},
    **{8: "CIELAB", 9: "ICCLAB", 10: "ITULAB"},
}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}
_CODES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}

# What Pillow can decode but does not list: (byte order, photometric, sample format, fill order,
# bits, extra samples) to (mode, raw mode). It leaves white-is-zero of 16 bits as it is.
for _order, _raw in ((b"II", "I;16"), (b"MM", "I;16B")):
    TiffImagePlugin.OPEN_INFO.setdefault((_order, 0, (1,), 1, (16,), ()), (_raw, _raw))
    for _photometric in (0, 1):
        _key = (_order, _photometric, (1,), 1, (12,), ())
        TiffImagePlugin.OPEN_INFO.setdefault(_key, ("I;16", "I;12"))


@dataclass(frozen=True, slots=True)
class Directory:
    """One directory of a TIFF, which describes one image."""

    file: BinaryIO
    order: str
    """Byte order, as the module struct writes it."""
    big: bool
    """BigTIFF: offsets have 8 bytes."""
    entries: dict[int, tuple[int, int, int]]
    """Tag to type, number of values, and position of the values in the file."""

    def raw(self, tag: int) -> bytes:
        """Return the bytes of the values of a tag."""
        kind, count, position = self.entries[tag]
        return read_bytes(self.file, position, count * _SIZES.get(kind, 1))

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Return the values of a tag of integers; nothing if there is no such tag."""
        kind, count, _ = self.entries.get(tag, (0, 0, 0))
        return (
            struct.unpack(f"{self.order}{count}{_CODES[kind]}", self.raw(tag))
            if kind in _CODES
            else ()
        )

    def number(self, tag: int, default: int = 0) -> int:
        """Return the first value of a tag of integers."""
        return next(iter(self.numbers(tag)), default)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.number(WIDTH), self.number(HEIGHT)

    def sub_directories(self) -> Iterator[Directory]:
        """Directories that belong to this one, such as reduced copies or a sensor's values."""
        for offset in self.numbers(SUB_DIRECTORIES):
            yield _directory(self.file, offset, self.order, self.big)[0]


def directories(file: BinaryIO) -> list[Directory]:
    """Return the directories of a TIFF in the order of its pages.

    Raises:
        ImageError: without a name of the file; a directory cannot be read.
    """
    head = read_bytes(file, 0, 8)
    order, big = "<" if head[:2] == b"II" else ">", head[2:4] in (b"+\0", b"\0+")
    offset = (
        struct.unpack(f"{order}Q", read_bytes(file, 8, 8))[0]
        if big
        else struct.unpack(f"{order}I", head[4:])[0]
    )
    pages: list[Directory] = []
    seen: set[int] = set()
    while offset and offset not in seen and len(pages) < MAX_DIRECTORIES:
        seen.add(offset)
        page, offset = _directory(file, offset, order, big)
        pages.append(page)
    if not pages:
        raise ImageError("is damaged or truncated: the TIFF has no pages; copy or export it again")
    return pages


def _directory(file: BinaryIO, offset: int, order: str, big: bool) -> tuple[Directory, int]:
    """Return the directory at an offset and the offset of the next one."""
    count_code, pointer = (order + "Q", order + "Q") if big else (order + "H", order + "I")
    head, width = struct.Struct(f"{order}HH{pointer[1]}"), struct.calcsize(pointer)
    start = offset + struct.calcsize(count_code)
    (count,) = struct.unpack(count_code, read_bytes(file, offset, start - offset))
    length = head.size + width
    body = read_bytes(file, start, count * length + width)
    entries = {}
    for at in range(0, count * length, length):
        tag, kind, values = head.unpack_from(body, at)
        position = start + at + head.size
        if values * _SIZES.get(kind, 1) > width:
            (position,) = struct.unpack_from(pointer, body, at + head.size)
        entries[tag] = kind, values, position
    (following,) = struct.unpack_from(pointer, body, count * length)
    return Directory(file, order, big, entries), following


def read_bytes(file: BinaryIO, position: int, size: int) -> bytes:
    """Return `size` bytes of a file, or raise ImageError if it ends before."""
    if position + size > file.seek(0, os.SEEK_END):
        raise ImageError(
            "is damaged or truncated: a TIFF directory is not whole; copy or export it again"
        )
    file.seek(position)
    return file.read(size)


def frames(pages: list[Directory]) -> list[int]:
    """Return the numbers of the pages that are frames: alike, and of full size.

    Reduced copies and masks are left out, whether the file declares them or a page is at most half
    as wide and half as high as another one.

    Raises:
        ImageError: without a name of the file; the image itself is not among the pages.
    """
    full = [number for number, page in enumerate(pages) if not _is_auxiliary(page)]
    candidates = full or range(len(pages))
    first = pages[candidates[0]]
    for number in candidates:
        if all(
            2 * side <= other for side, other in zip(first.size, pages[number].size, strict=True)
        ):
            first = pages[number]
    _refuse_previews(pages, first)
    alike = [number for number in candidates if _layout(pages[number]) == _layout(first)]
    if len(alike) > 1:
        _refuse_channels(pages[0])
    return alike


def _is_auxiliary(page: Directory) -> bool:
    """Return whether a page is a reduced copy or a mask by its own statement."""
    reduced = page.number(SUBFILE_TYPE) & 5 or page.number(OLD_SUBFILE_TYPE) == 2
    return bool(reduced) or page.number(PHOTOMETRIC, 1) == TRANSPARENCY_MASK


def _refuse_previews(pages: list[Directory], image: Directory) -> None:
    nested = [sub for page in pages for sub in page.sub_directories()]
    for page in (*pages, *nested):
        if DNG_VERSION in page.entries or page.number(PHOTOMETRIC) in SENSOR_VALUES:
            raise ImageError("is a camera raw file (DNG or like it); save it as JPEG or PNG")
    if any(math.prod(page.size) > math.prod(image.size) for page in nested):
        raise ImageError(
            "is TIFF whose pages are previews of an image in a sub-directory; save it as PNG"
        )


def _refuse_channels(page: Directory) -> None:
    """Refuse pages that are the colour channels of one image, as microscopes and ImageJ store."""
    kind, _, _ = page.entries.get(DESCRIPTION, (0, 0, 0))
    text = page.raw(DESCRIPTION)[:MAX_DESCRIPTION].decode("latin-1") if kind == TEXT else ""
    channels = _CHANNELS.search(text)
    if channels and page.number(SAMPLES, 1) == 1 and int(channels[1] or channels[2]) > 1:
        raise ImageError("is TIFF whose pages are colour channels of one image; save it as PNG")


def _layout(page: Directory) -> tuple[object, ...]:
    photometric = page.number(PHOTOMETRIC)
    return page.size, page.numbers(BITS), page.number(SAMPLES, 1), max(photometric, 1)


def describe(page: Directory) -> str:
    """Describe how a page stores its pixels, for an error message."""
    bits = ", ".join(map(str, sorted(set(page.numbers(BITS) or (1,)))))
    photometric = page.number(PHOTOMETRIC)
    words = [f"{page.number(SAMPLES, 1)} values per pixel of {bits} bits per sample"]
    words += [PHOTOMETRIC_NAMES.get(photometric, f"photometric interpretation {photometric}")]
    words += {SIGNED: ["signed"], FLOATING_POINT: ["floating point"]}.get(
        page.number(SAMPLE_FORMAT, 1), []
    )
    words += ["separate colour planes"] if page.number(PLANAR, 1) == 2 else []
    words += ["big-endian BigTIFF"] if page.big and page.order == ">" else []
    return f"{', '.join(words)}, compression {page.number(COMPRESSION, 1)}"


def check_data(page: Directory) -> None:
    """Check that the data of a page are all there, and hold the colours that it states.

    Raises:
        ImageError: without a name of the file; decoders would fill in black, or show other colours.
    """
    tiles = page.numbers(TILES)
    parts = tiles or page.numbers(STRIPS)
    compression = page.number(COMPRESSION, 1)
    if compression == OLD_JPEG or not parts:
        return
    width, height = page.size
    across = -(-width // (page.number(TILE_WIDTH) or width)) if tiles else 1
    down = -(-height // (page.number(TILE_HEIGHT if tiles else ROWS_PER_STRIP) or height))
    samples = page.number(SAMPLES, 1)
    planes = samples if page.number(PLANAR, 1) == 2 else 1
    if len(parts) < across * down * planes or 0 in parts:
        raise ImageError(
            "is damaged or truncated: a part of it is missing; copy or export it again"
        )
    if compression == JPEG and samples == 3 and planes == 1:
        _check_jpeg_colours(page, parts[0])


def _check_jpeg_colours(page: Directory, offset: int) -> None:
    """Check that the markers of JPEG data, which decoders ignore here, agree with the page."""
    page.file.seek(offset)
    head = page.file.read(JPEG_HEAD)
    adobe = head.find(b"Adobe") + 11  # the byte of the transform
    if adobe > 11:
        colours = YCBCR if head[adobe : adobe + 1] != b"\0" else RGB
    elif b"JFIF" in head:
        colours = YCBCR
    else:
        return
    stated = page.number(PHOTOMETRIC)
    if stated in (RGB, YCBCR) and stated != colours:
        held, called = PHOTOMETRIC_NAMES[colours], PHOTOMETRIC_NAMES[stated]
        raise ImageError(f"is TIFF whose JPEG data are {held}, but called {called}; save it as PNG")


def correct_tiles(image: Pillow.Image, page: Directory) -> None:
    """Correct how Pillow is about to decode an opened page.

    It takes separate colour planes of 16 bits for planes of 8 bits, and the byte order of libtiff
    for that of the file in signed values.
    """
    tile = image.tile[0]  # type: ignore[attr-defined]
    raw = tile.args[0]
    if tile.codec_name == "raw" and page.number(PLANAR, 1) == 2 and page.number(BITS) == 16:
        raw, image.use_load_libtiff = f"{image.mode};16N", True  # type: ignore[attr-defined]
    elif tile.codec_name == "libtiff" and raw in ("I;16S", "I;16BS"):
        raw = "I;16NS"
    else:
        return
    offset = image.tag_v2.offset  # type: ignore[attr-defined]
    size = page.size
    image.tile = [_Tile("libtiff", (0, 0, *size), 0, (raw, False, offset))]  # type: ignore[attr-defined]


def is_tiled(image: Pillow.Image) -> bool:
    """Return whether an opened page is stored in tiles, whose rows are not those of the image."""
    return TILE_WIDTH in image.tag_v2  # type: ignore[attr-defined]


def low_bytes(image: Pillow.Image, raw_mode: str) -> str | None:
    """Return the raw mode that decodes the low bytes of 16 bits instead of the high ones.

    None where Pillow has no such mode; of separate colour planes it always takes the high bytes.
    """
    if image.format == "TIFF" and image.tag_v2.get(PLANAR) == 2:  # type: ignore[attr-defined]
        return None
    name, _, order = raw_mode.partition(";16")
    native = "L" if sys.byteorder == "little" else "B"
    other = {"L": "B", "B": "L"}.get(native if order == "N" else order)
    return f"{name};16{other}" if other and name in ("RGB", "RGBA", "RGBX", "CMYK") else None
