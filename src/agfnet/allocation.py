"""Memory of tensors on the CPU: kept for the next tensor instead of given back each time.

A training step on the CPU allocates and frees gigabytes. By default, the C library gives the memory
of every large tensor back to the system and asks for it again, and the system clears each page
before its first use. That is up to half of the time of a step. `python bench/training.py` measures
it (part `allocation`).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4  # names of mallopt, see malloc.h
KEEP = {MMAP_MAX: 0, TRIM_THRESHOLD: -1}
GIVE_BACK = {MMAP_MAX: 65536, MMAP_THRESHOLD: 32 << 20, TRIM_THRESHOLD: 64 << 20}
"""The values that glibc itself takes for a process that has freed large blocks (`man mallopt`)."""

_lock = Lock()
_users = 0


@contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Keep freed memory in this process, and give it back to the system at the end.

    It holds for the whole process, and may be nested and entered by several threads. Where the C
    library is not glibc (macOS, Windows, Alpine), nothing changes.

    Examples:
        >>> with keep_freed_memory():
        ...     pass  # a training, or predictions of a table
    """
    global _users
    with _lock:
        _users += 1
        if _users == 1:
            _apply(KEEP)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _apply(GIVE_BACK)
                _trim()


@cache
def _library() -> Any:
    """Return the C library if it is glibc."""
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):  # Windows
        return None
    return library if hasattr(library, "gnu_get_libc_version") else None


def _apply(options: dict[int, int]) -> None:
    if _library() is not None:
        for name, value in options.items():
            _library().mallopt(name, value)


def _trim() -> None:
    if _library() is not None:
        _library().malloc_trim(0)
