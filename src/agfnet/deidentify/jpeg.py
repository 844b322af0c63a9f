"""JPEG without comments and application segments; its pixels are copied bit for bit."""

from __future__ import annotations

import re
import struct

from PIL import Image as Pillow

from agfnet.deidentify.profile import without_texts
from agfnet.errors import ImageError

START = b"\xff\xd8"
ORIENTATION = 0x0112
_PROFILE = b"ICC_PROFILE\0"
_PROFILE_START = 4 + len(_PROFILE) + 2
"""Bytes of a segment before its part of the profile: the last two number it, and count them."""
_SCAN_END = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")  # a marker that is no restart marker


def strip_jpeg(data: bytes, *, orientation: int = 1) -> bytes:
    """Return a JPEG without comments and application segments, and without what follows its end.

    The density (JFIF, without its thumbnail), the colour transform (Adobe) and the colour profile
    (ICC, without its texts) are kept, because the pixels would look different without them.

    Args:
        data: the file.
        orientation: from 1 to 8, as EXIF numbers it; 1, upright, is not written.

    Raises:
        ImageError: it is damaged or truncated.
    """
    parts = [START]
    position = len(START)
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
            following = _SCAN_END.search(data, end)
            end = following.start() if following else len(data)
        parts.append(_jpeg_segment(marker[0], data[position:end]))
        position = end
    _clean_profile(parts)
    jfif = parts[1].startswith(b"\xff\xe0")  # has to be the first
    parts.insert(2 if jfif else 1, _exif_segment(orientation))
    return b"".join([*parts, b"\xff\xd9"])


def _clean_profile(parts: list[bytes]) -> None:
    """Remove the texts of a colour profile, which may be in several segments."""
    numbers = [n for n, part in enumerate(parts) if part[4 : 4 + len(_PROFILE)] == _PROFILE]
    numbers.sort(key=lambda n: parts[n][_PROFILE_START - 2 : _PROFILE_START])
    profile = without_texts(b"".join(parts[n][_PROFILE_START:] for n in numbers))
    for n in numbers:
        size = len(parts[n]) - _PROFILE_START
        parts[n] = parts[n][:_PROFILE_START] + profile[:size] if profile else b""
        profile = profile[size:]


def _jpeg_segment(marker: int, segment: bytes) -> bytes:
    """Return what is kept of a segment, which begins with its marker and length."""
    content = segment[4:]
    if marker == 0xE0 and content.startswith(b"JFIF\0"):
        return segment[:2] + b"\0\x10" + content[:12] + b"\0\0"
    if marker == 0xE2 and content.startswith(_PROFILE):
        return segment
    if marker == 0xEE and content.startswith(b"Adobe"):
        return segment[:2] + b"\0\x0e" + content[:12]
    if marker == 0xDC:  # the number of lines
        return segment if len(content) == 2 else b""
    return segment if 0xC0 <= marker <= 0xDF else b""  # tables, frames and scans


def _exif_segment(orientation: int) -> bytes:
    exif = exif_bytes(orientation)
    return b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif if exif else b""


def exif_bytes(orientation: int) -> bytes:
    """Return EXIF that states an orientation and nothing else; empty if it is upright."""
    if orientation == 1:
        return b""
    exif = Pillow.Exif()
    exif[ORIENTATION] = orientation
    return exif.tobytes()
