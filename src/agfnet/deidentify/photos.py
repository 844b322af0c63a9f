"""Image files without EXIF, XMP, IPTC, comments and thumbnails; their pixels stay as they are.

JPEG and PNG are copied part by part, only parts that are known to be needed. Other kinds are
saved anew without loss. What stays is the orientation and the colour profile.
"""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps, ImageSequence, UnidentifiedImageError

from agfnet.errors import ImageError

ORIENTATION = 0x0112
JPEG, PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
# pixels, animation, transparency, colour and scale; no text and no time
PNG_CHUNKS = (
    *(b"IHDR", b"PLTE", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT"),
    *(b"tRNS", b"bKGD", b"sBIT", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"pHYs"),
)
# of the other kinds: how Pillow saves them without loss
SAVED: dict[str, tuple[str, dict[str, Any]]] = {
    "TIFF": (".tif", {"compression": "tiff_adobe_deflate"}),
    "WEBP": (".webp", {"lossless": True, "exact": True}),
    "BMP": (".bmp", {}),
    "GIF": (".gif", {}),
}
KEPT = ("icc_profile", "transparency", "duration", "loop")  # of what Pillow knows of an image
_SCAN_END = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")  # a marker that is no restart marker


def strip_photo(data: bytes) -> tuple[bytes, str]:
    """The same image with nothing but its pixels, and the suffix of its kind.

    Raises:
        ImageError: damaged, of an unsupported kind, or its pixels would change.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        try:
            if data.startswith(JPEG):
                return strip_jpeg(data, orientation=_orientation(data)), ".jpg"
            if data.startswith(PNG):
                return _strip_png(data), ".png"
            return _saved_anew(data)
        except ImageError:
            raise
        except UnidentifiedImageError:
            raise ImageError(
                "is not an image; expected DICOM, JPEG, PNG, TIFF, WebP, BMP or GIF"
            ) from None
        except Exception as error:  # decoders raise anything on damaged files
            raise ImageError(f"is damaged or truncated: {error}") from error


def strip_jpeg(data: bytes, *, orientation: int = 1) -> bytes:
    """A JPEG without comments and application segments; what follows its end is left out.

    Kept are the density (JFIF, without its thumbnail), the kind of colour (Adobe) and the colour
    profile (ICC), without which the pixels would look otherwise.

    Raises:
        ImageError: it is damaged or truncated.
    """
    parts = [JPEG]
    position = len(JPEG)
    while True:
        while data[position : position + 2] == b"\xff\xff":  # padding
            position += 1
        mark, marker = data[position : position + 1], data[position + 1 : position + 2]
        if mark != b"\xff" or marker in (b"", b"\0"):
            raise ImageError(f"is damaged or truncated: no JPEG marker at byte {position}")
        if marker == b"\xd9":
            break
        (length,) = struct.unpack(">H", data[position + 2 : position + 4].rjust(2, b"\0"))
        end = position + 2 + length
        if marker == b"\xda":  # pixels follow, up to the next marker
            found = _SCAN_END.search(data, end)
            end = found.start() if found else len(data)
        parts.append(_jpeg_segment(marker[0], data[position:end]))
        position = end
    jfif = parts[1].startswith(b"\xff\xe0")  # has to be the first
    parts.insert(2 if jfif else 1, _exif_segment(orientation))
    return b"".join([*parts, b"\xff\xd9"])


def _jpeg_segment(marker: int, segment: bytes) -> bytes:
    """What is kept of a segment, which begins with its marker and length."""
    content = segment[4:]
    if marker == 0xE0 and content.startswith(b"JFIF\0"):
        return segment[:2] + b"\0\x10" + content[:12] + b"\0\0"
    if marker == 0xE2 and content.startswith(b"ICC_PROFILE\0"):
        return segment
    if marker == 0xEE and content.startswith(b"Adobe"):
        return segment[:2] + b"\0\x0e" + content[:12]
    return segment if 0xC0 <= marker <= 0xDF else b""  # tables, frames and scans


def _exif_segment(orientation: int) -> bytes:
    exif = _exif(orientation)
    return b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif if exif else b""


def _exif(orientation: int) -> bytes:
    if orientation == 1:
        return b""
    exif = Pillow.Exif()
    exif[ORIENTATION] = orientation
    return exif.tobytes()


def _orientation(data: bytes) -> int:
    """As Pillow reads it, which looks into EXIF and XMP."""
    with Pillow.open(BytesIO(data), formats=("JPEG", "PNG")) as image:
        if image.format == "PNG":
            image.load()  # a PNG may keep EXIF behind its pixels
        try:
            found = image.getexif().get(ORIENTATION, 1)
        except Exception:  # damaged metadata does not make the pixels unreadable
            return 1
    return found if found in range(1, 9) else 1


def _strip_png(data: bytes) -> bytes:
    parts = [PNG]
    for kind, chunk in _png_chunks(data):
        if kind in PNG_CHUNKS:
            parts.append(chunk)
        if kind == b"IHDR" and (exif := _exif(_orientation(data)).removeprefix(b"Exif\0\0")):
            body = b"eXIf" + exif
            parts.append(struct.pack(">I", len(exif)) + body + struct.pack(">I", zlib.crc32(body)))
    return b"".join(parts)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The kind of each chunk, and the whole of it; nothing after the end."""
    position, kind = len(PNG), b""
    while kind != b"IEND":
        length, kind = struct.unpack(">I4s", data[position : position + 8].rjust(8, b"\0"))
        end = position + 12 + length
        if end > len(data):
            raise ImageError("is damaged or truncated: the PNG has no end")
        yield kind, data[position:end]
        position = end


def _saved_anew(data: bytes) -> tuple[bytes, str]:
    kind, frames = _frames(data)
    suffix, options = SAVED[kind]
    file = BytesIO()
    if len(frames) > 1:
        options = {**options, "save_all": True, "append_images": frames[1:]}
    frames[0].save(file, format=kind, **options)
    _, again = _frames(file.getvalue())
    if len(again) != len(frames) or not all(map(_same, frames, again)):
        raise ImageError(f"cannot be saved as {kind} without loss; convert it to PNG")
    return file.getvalue(), suffix


def _frames(data: bytes) -> tuple[str, list[Pillow.Image]]:
    """The kind of a file, and all its frames, upright, without anything else."""
    with Pillow.open(BytesIO(data), formats=tuple(SAVED)) as image:
        frames = [ImageOps.exif_transpose(frame).copy() for frame in ImageSequence.Iterator(image)]
        for frame in frames:
            frame.info = {name: frame.info[name] for name in KEPT if name in frame.info}
        return str(image.format), frames


def _same(one: Pillow.Image, other: Pillow.Image) -> bool:
    return np.array_equal(_pixels(one), _pixels(other))


def _pixels(image: Pillow.Image) -> NDArray[np.generic]:
    palette = image.mode in ("P", "PA") or "transparency" in image.info
    return np.asarray(image.convert("RGBA") if palette else image)
