"""PNG files of kinds that Pillow does not write."""

from __future__ import annotations

import struct
import zlib


def png(width: int, height: int, *, kind: int, depth: int, raw: bytes) -> bytes:
    """A PNG with this header, and compressed pixels, whether or not they fit it."""
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    body = _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(raw)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _chunk(name: bytes, data: bytes) -> bytes:
    check = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)
