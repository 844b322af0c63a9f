"""Colour profiles (ICC) without names, texts and times; what they do to the colours stays."""

from __future__ import annotations

import struct

_HEADER, _ENTRY = 128, 12  # bytes
_DATE = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
_COLOURS = (
    *(b"A2B0", b"A2B1", b"A2B2", b"B2A0", b"B2A1", b"B2A2", b"D2B0", b"D2B1", b"D2B2", b"D2B3"),
    *(b"B2D0", b"B2D1", b"B2D2", b"B2D3", b"gamt", b"wtpt", b"bkpt", b"chad", b"chrm", b"cicp"),
    *(b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"kTRC", b"lumi", b"meas", b"view"),
    *(b"pre0", b"pre1", b"pre2", b"tech", b"rig0", b"rig2", b"ciis"),
)
"""Tags that decide the colours."""
_RECORD = 12  # bytes, of each language of a text


def without_texts(profile: bytes) -> bytes:
    """Return a profile of the same length without texts, serial numbers and its date.

    Programs that calibrate a screen or a camera write its name and owner there.

    Returns:
        Nothing if it is damaged: programs ignore it then.
    """
    cleaned = bytearray(profile)
    try:
        (count,) = struct.unpack_from(">I", profile, _HEADER)
        entries = [
            struct.unpack_from(">4sII", profile, _HEADER + 4 + _ENTRY * number)
            for number in range(min(count, len(profile)))
        ]
    except struct.error:
        return b""
    kept = [(start, start + size) for name, start, size in entries if name in _COLOURS]
    for name, start, size in entries:
        if start < _HEADER or start + size > len(profile):
            return b""
        shared = any(start < end and first < start + size for first, end in kept)
        if name not in _COLOURS and not shared:
            cleaned[start : start + size] = _empty(profile[start : start + size])
    cleaned[24:36] = _DATE
    for first, end in ((48, 56), (80, 100)):  # device, program, and checksum
        cleaned[first:end] = bytes(end - first)
    return bytes(cleaned)


def _empty(tag: bytes) -> bytes:
    """Return a tag of the same type and length without its content."""
    kept = 8
    if tag[:4] == b"desc":
        kept = 12  # with the length of the text
    elif tag[:4] == b"mluc":
        kept = 16 + _RECORD * int.from_bytes(tag[8:12])
    return tag[:kept].ljust(len(tag), b"\0")
