"""Image files without EXIF, XMP, IPTC, comments and thumbnails; their pixels stay as they are.

JPEG, PNG and TIFF are copied part by part, only parts that are known to be needed. WebP, BMP and
GIF are saved again without loss. The orientation is kept, and the colour profile without its texts.
"""

from __future__ import annotations

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

from agfnet.data import tiff
from agfnet.data.file_types import unsupported_file_type
from agfnet.deidentify import jpeg
from agfnet.deidentify.jpeg import exif_bytes, strip_jpeg
from agfnet.deidentify.profile import without_texts
from agfnet.deidentify.tiff import strip_tiff
from agfnet.errors import ImageError

PNG = b"\x89PNG\r\n\x1a\n"
# pixels, animation, transparency, colour and scale; no text and no time
PNG_CHUNKS = (
    *(b"IHDR", b"PLTE", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT"),
    *(b"tRNS", b"bKGD", b"sBIT", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"pHYs"),
)
# how Pillow saves the other file types without loss
SAVED: dict[str, tuple[str, dict[str, Any]]] = {
    "WEBP": (".webp", {"lossless": True, "exact": True}),
    "BMP": (".bmp", {}),
    "GIF": (".gif", {}),
}
MAX_PROFILE = 1 << 24
"""Bytes of a colour profile."""
KEPT = ("icc_profile", "transparency", "duration", "loop")  # of what Pillow knows of an image


def strip_photo(data: bytes) -> tuple[bytes, str]:
    """Return the same image with nothing but its pixels, and the suffix of its file type.

    Raises:
        ImageError: it is damaged or of an unsupported type, or its pixels would change.
    """
    if message := unsupported_file_type(data[:132]):
        raise ImageError(message)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        try:
            if data.startswith(jpeg.START):
                return strip_jpeg(data, orientation=_orientation(data)), ".jpg"
            if data.startswith(PNG):
                return _strip_png(data), ".png"
            if data.startswith(tiff.MAGIC):
                return strip_tiff(data), ".tif"
            return _save_again(data)
        except ImageError:
            raise
        except UnidentifiedImageError:
            raise ImageError(
                "is not an image; expected DICOM, JPEG, PNG, TIFF, WebP, BMP or GIF"
            ) from None
        except Exception as error:  # decoders raise anything on damaged files
            raise ImageError(f"is damaged or truncated: {error}; copy it again") from error


def _orientation(data: bytes) -> int:
    """Return the orientation as Pillow reads it, which looks into EXIF and XMP."""
    with Pillow.open(BytesIO(data), formats=("JPEG", "PNG")) as image:
        if image.format == "PNG":
            image.load()  # a PNG may keep EXIF behind its pixels
        try:
            orientation = image.getexif().get(jpeg.ORIENTATION, 1)
        except Exception:  # damaged metadata does not make the pixels unreadable
            return 1
    return orientation if orientation in range(1, 9) else 1


def _strip_png(data: bytes) -> bytes:
    parts = [PNG]
    for name, chunk in _png_chunks(data):
        if name == b"iCCP":
            parts.append(_png_profile(chunk))
        elif name in PNG_CHUNKS:
            parts.append(chunk)
        if name == b"IHDR" and (exif := exif_bytes(_orientation(data)).removeprefix(b"Exif\0\0")):
            parts.append(_png_chunk(b"eXIf", exif))
    return b"".join(parts)


def _png_profile(chunk: bytes) -> bytes:
    """Return the chunk of a colour profile without its name and texts."""
    compressed = chunk[8:-4].partition(b"\0")[2][1:]
    try:
        profile = without_texts(zlib.decompressobj().decompress(compressed, MAX_PROFILE))
    except zlib.error:  # decoders ignore it as well
        return b""
    return _png_chunk(b"iCCP", b"ICC\0\0" + zlib.compress(profile)) if profile else b""


def _png_chunk(name: bytes, content: bytes) -> bytes:
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name of each chunk and the whole of it, up to the end of the image."""
    position, name = len(PNG), b""
    while name != b"IEND":
        length, name = struct.unpack(">I4s", data[position : position + 8].rjust(8, b"\0"))
        end = position + 12 + length
        if end > len(data):
            raise ImageError("is damaged or truncated: the PNG has no end; copy it again")
        yield name, data[position:end]
        position = end


def _save_again(data: bytes) -> tuple[bytes, str]:
    """Return a file as Pillow saves it without loss, and its suffix."""
    file_type, frames = _frames(data)
    suffix, options = SAVED[file_type]
    file = BytesIO()
    if len(frames) > 1:
        options = {**options, "save_all": True, "append_images": frames[1:]}
    if profile := frames[0].info.get("icc_profile"):
        options = {**options, "icc_profile": profile}  # WebP does not take it from the image
    frames[0].save(file, format=file_type, **options)
    _, saved = _frames(file.getvalue())
    if len(saved) != len(frames) or not all(map(_equal, frames, saved)):
        raise ImageError(f"cannot be saved as {file_type} without loss; convert it to PNG")
    return file.getvalue(), suffix


def _frames(data: bytes) -> tuple[str, list[Pillow.Image]]:
    """Return the file type and all frames, upright, without anything else."""
    with Pillow.open(BytesIO(data), formats=tuple(SAVED)) as image:
        frames = [ImageOps.exif_transpose(frame).copy() for frame in ImageSequence.Iterator(image)]
        for frame in frames:
            frame.info = {name: frame.info[name] for name in KEPT if name in frame.info}
            if profile := frame.info.get("icc_profile"):
                frame.info["icc_profile"] = without_texts(profile)
        return str(image.format), frames


def _equal(first: Pillow.Image, second: Pillow.Image) -> bool:
    return np.array_equal(_pixels(first), _pixels(second))


def _pixels(image: Pillow.Image) -> NDArray[np.generic]:
    palette = image.mode in ("P", "PA") or "transparency" in image.info
    return np.asarray(image.convert("RGBA") if palette else image)
