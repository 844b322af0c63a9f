"""TIFF files of every layout, which Pillow cannot write."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

LONGS = (256, 257, 273, 279, 330)


@dataclass
class Page:
    """One image and its tags."""

    tags: dict[int, Any]
    strips: list[bytes]
    nested: list[Page] = field(default_factory=list)


def page(
    values: np.ndarray,
    *,
    order: str = "<",
    bits: int | None = None,
    photometric: int | None = None,
    planar: int = 1,
    deflate: bool = False,
    tags: dict[int, Any] | None = None,
    nested: Sequence[Page] = (),
) -> Page:
    """A page of values (H, W) or (H, W, C); with `bits`, packed into so many bits."""
    samples = 1 if values.ndim == 2 else values.shape[2]
    default = 2 if samples >= 3 else 1
    head = {
        256: values.shape[1],
        257: values.shape[0],
        258: [bits or 8 * values.dtype.itemsize] * samples,
        259: 8 if deflate else 1,
        262: default if photometric is None else photometric,
        277: samples,
        278: values.shape[0],
        284: planar,
    }
    if values.dtype.kind == "i":
        head[339] = [2] * samples
    ordered = values.astype(values.dtype.newbyteorder(order))
    planes = [ordered[..., n] for n in range(samples)] if planar == 2 else [ordered]
    raw = [packed(plane, bits) if bits else plane.tobytes() for plane in planes]
    strips = [zlib.compress(strip) for strip in raw] if deflate else raw
    return Page({**head, **(tags or {})}, strips, list(nested))


def packed(values: np.ndarray, bits: int) -> bytes:
    rows = values.reshape(len(values), -1)
    text = ["".join(format(int(value), f"0{bits}b") for value in row) for row in rows]
    return b"".join(
        int(row, 2).to_bytes(len(row) // 8) for row in (row + "0" * (-len(row) % 8) for row in text)
    )


def tiff(*pages: Page, order: str = "<", big: bool = False) -> bytes:
    """A file of these pages."""
    head = b"II" if order == "<" else b"MM"
    data = bytearray(head + struct.pack(order + "H", 43 if big else 42))
    data += struct.pack(order + "HHQ", 8, 0, 0) if big else bytes(4)
    _chain(data, pages, 8 if big else 4, order, big)
    return bytes(data)


def _chain(data: bytearray, pages: Sequence[Page], link: int, order: str, big: bool) -> None:
    pointer, counter = (order + "Q", "Q") if big else (order + "I", "H")
    width = struct.calcsize(pointer)
    for each in pages:
        tags = dict(each.tags)
        for tag, parts in ((330, each.nested), (273, each.strips)):
            if not parts:
                continue
            tags[tag] = []
            for part in parts:
                tags[tag].append(len(data))
                if isinstance(part, bytes):
                    data += part + bytes(len(part) % 2)
                else:
                    start = bytearray(data + bytes(width))
                    _chain(start, [part], len(data), order, big)
                    (tags[tag][-1],) = struct.unpack_from(pointer, start, len(data))
                    data[:] = start
        tags[279] = [len(strip) for strip in each.strips]
        start = len(data)
        data[link : link + width] = struct.pack(pointer, start)
        entries, values = b"", b""
        behind = start + struct.calcsize(order + counter) + len(tags) * (4 + 2 * width) + width
        for tag in sorted(tags):
            value = tags[tag] if isinstance(tags[tag], (list, bytes)) else [tags[tag]]
            if isinstance(value, bytes):
                kind, content = 7, value
            else:
                kind = 4 if tag in LONGS else 3
                content = struct.pack(f"{order}{len(value)}{'I' if kind == 4 else 'H'}", *value)
            entries += struct.pack(order + "HH" + pointer[1], tag, kind, len(value))
            if len(content) <= width:
                entries += content.ljust(width, b"\0")
            else:
                entries += struct.pack(pointer, behind + len(values))
                values += content + bytes(len(content) % 2)
        data += struct.pack(order + counter, len(tags)) + entries
        link = len(data)
        data += bytes(width) + values
