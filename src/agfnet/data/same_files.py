"""Files with the same content, found without reading all of them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path

from agfnet.files import sha256

_SAMPLE = 1 << 12  # bytes of the middle of a file, where images of one device and size differ


def first_of_same(files: Iterable[Path]) -> dict[Path, Path]:
    """Return for each file the first one with the same content; itself if it is missing.

    Only files of equal size are read, and of these only such that agree in a sample are read whole.
    """
    groups = [list(dict.fromkeys(files))]
    first = {file: file for file in groups[0]}
    keys: tuple[Callable[[Path], Hashable], ...] = (_size, _sample, sha256)
    for key in keys:
        groups = [part for group in groups for part in _parts(group, key) if len(part) > 1]
    return first | {file: group[0] for group in groups for file in group}


def _parts(files: Iterable[Path], key: Callable[[Path], Hashable]) -> Iterable[list[Path]]:
    parts: defaultdict[Hashable, list[Path]] = defaultdict(list)
    for file in files:
        try:
            parts[key(file)].append(file)
        except OSError:
            continue
    return parts.values()


def _size(file: Path) -> int:
    return file.stat().st_size


def _sample(file: Path) -> bytes:
    with file.open("rb") as content:
        content.seek(max(0, _size(file) - _SAMPLE) // 2)
        return hashlib.blake2b(content.read(_SAMPLE)).digest()
