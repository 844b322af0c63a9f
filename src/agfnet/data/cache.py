"""Prepared images kept on disk: decoded once, not in every epoch and every run."""

from __future__ import annotations

import hashlib
import logging
import math
import os
import shutil
import sqlite3
import zlib
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agfnet.config import ModalityConfig
from agfnet.data.readers import named_frame

FOLDER = "agfnet-cache"
RESERVE = 2**30  # bytes of the disk that stay free: checkpoints need room too
WAIT = 10.0  # seconds for another process to finish writing
PAGE = 4096

PIXEL_CODE = (
    *("decoding", "dicom", "dicom_display", "dicom_jpeg", "file_types", "geometry"),
    *("preprocess", "readers", "tiff", "ultrasound"),
)
"""Modules of `agfnet.data` that decide the pixels of a prepared image."""
_LIBRARIES = ("numpy", "pillow", "scipy", "pydicom", "pylibjpeg-openjpeg", "pyjpegls")
_TABLE = """CREATE TABLE IF NOT EXISTS images
    (key BLOB PRIMARY KEY, owner BLOB, stamp TEXT, checksum INTEGER, pixels BLOB)"""
# the agreed sign of a folder that backups leave out (bford.info/cachedir)
_TAG = """Signature: 8a477f597d28d172789f06886806bc55
# Images as agfnet prepared them for training. As confidential as the images themselves.
# May be deleted whenever nothing is being trained.
"""


class ImageCache:
    """Prepared images in one SQLite file, shared by processes and by runs.

    An image is found by the path of its file and by everything else that decides its pixels (see
    `identity`), and counts as long as time and size of the file are those that it was made from.
    Failures are logged once per process; images are then prepared again for every access.

    Args:
        folder: where the file is or will be.
        max_bytes: largest size of the file.
    """

    def __init__(self, *, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._file = folder / "images.sqlite"
        self._max_bytes = max_bytes
        self._reads = self._writes = True
        self._expected: set[bytes] = set()
        self._oldest, self._newest = 0, 0  # rows between which images may be deleted
        # by process: SQLite forbids to use or close one that was inherited
        self._connections: dict[int, sqlite3.Connection] = {}

    def __del__(self) -> None:
        if connection := self._connections.pop(os.getpid(), None):
            connection.close()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_connections": {}}

    def expect(self, images: Iterable[tuple[Path, bytes]], *, size: int) -> None:
        """Announce the images of a run: others may be deleted to make room for them.

        Args:
            images: file and identity; all frames of a file count as one.
            size: side of the images, in pixels.
        """
        self._expected = {_key(path, identity) for path, identity in images}
        try:
            newest = self._open().execute("SELECT max(rowid) FROM images").fetchone()
            self._newest = newest[0] or 0
            fitting = self._capacity() // (3 * size**2 + PAGE)
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)
            return
        if fitting < len(self._expected):
            self._say(
                f"room for about {fitting} of {len(self._expected)} prepared images, so the"
                " others are decoded in every epoch; raise data.cache_mb, or name a folder on a"
                " larger disk with data.cache"
            )

    def image(
        self, path: Path, identity: bytes, make: Callable[[], NDArray[np.uint8]]
    ) -> NDArray[np.uint8]:
        """Return a prepared image (size, size, 3), read-only: from the cache, or made and cached.

        Args:
            path: its file, or a frame of a file.
            identity: the rest that decides its pixels.
            make: prepares it.
        """
        file, _ = named_frame(path)
        key, owner = _key(path, identity), _key(file, identity)
        stamp = _stamp(file)  # before it is read: if it changes now, no stamp will match
        pixels = self._read(key, stamp) if self._reads else None
        if pixels is None:
            pixels = make()
            if self._writes and stamp:
                self._write(key, owner, stamp, pixels)
        return pixels

    def _read(self, key: bytes, stamp: str) -> NDArray[np.uint8] | None:
        query = "SELECT checksum, pixels FROM images WHERE key = ? AND stamp = ?"
        try:
            row = self._open().execute(query, (key, stamp)).fetchone()
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)
            return None
        if row is None or zlib.crc32(row[1]) != row[0]:
            return None
        side = math.isqrt(len(row[1]) // 3)
        return np.frombuffer(row[1], dtype=np.uint8).reshape(side, side, 3)

    def _write(self, key: bytes, owner: bytes, stamp: str, pixels: NDArray[np.uint8]) -> None:
        content = pixels.tobytes()
        try:
            connection = self._open()
            if self._make_room(connection, len(content) + PAGE):
                row = (key, owner, stamp, zlib.crc32(content), content)
                connection.execute("INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?)", row)
        except (sqlite3.Error, OSError) as error:
            self._give_up(error, reading=False)

    def _make_room(self, connection: sqlite3.Connection, size: int) -> bool:
        """Delete old images until `size` bytes fit; return False if they cannot fit."""
        while self._capacity() - _used(connection) < size:
            query = """SELECT rowid, owner FROM images
                WHERE rowid > ? AND rowid <= ? ORDER BY rowid LIMIT 1"""
            oldest = connection.execute(query, (self._oldest, self._newest)).fetchone()
            if oldest is None:
                return False
            self._oldest, owner = oldest
            if owner not in self._expected:
                connection.execute("DELETE FROM images WHERE rowid = ?", (self._oldest,))
        return True

    def _capacity(self) -> int:
        """Return the bytes that the file may have; fewer where the disk is nearly full."""
        free = max(0, shutil.disk_usage(self._folder).free - RESERVE)
        return min(self._max_bytes, self._file.stat().st_size + free)

    def _open(self) -> sqlite3.Connection:
        process = os.getpid()
        if process not in self._connections:
            self._folder.mkdir(parents=True, exist_ok=True)
            tag = self._folder / "CACHEDIR.TAG"
            if not tag.exists():
                tag.write_text(_TAG, encoding="utf-8")
            # autocommit: an image is there as a whole or not at all, whenever a process dies
            # the collector may close it from any thread
            connection = sqlite3.connect(
                self._file, timeout=WAIT, isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute(f"PRAGMA page_size = {PAGE}")
                connection.execute(f"PRAGMA max_page_count = {max(1, self._max_bytes // PAGE)}")
                connection.execute("PRAGMA journal_mode = TRUNCATE")
                # a power cut may then damage the file, which the checksums detect
                connection.execute("PRAGMA synchronous = OFF")
                connection.execute(_TABLE)
            except sqlite3.Error:
                connection.close()
                raise
            self._connections[process] = connection
        return self._connections[process]

    def _give_up(self, error: sqlite3.Error | OSError, *, reading: bool = True) -> None:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            return  # only this image, and only this time
        self._writes = False
        self._reads = self._reads and not reading
        if isinstance(error, OSError):
            reason, fix = error.strerror, ""
        else:
            reason, fix = str(error), f"delete {self._file.name}, or "
        self._say(
            f"prepared images cannot be kept here ({reason}), so those that are not yet are decoded"
            f" in every epoch; {fix}name another folder with data.cache"
        )

    def _say(self, text: str) -> None:
        logging.getLogger(__name__).warning("%s: %s", self._folder, text)


def identity(*, size: int, modality: ModalityConfig) -> bytes:
    """Return a digest of the settings and the code that decide the pixels of a prepared image."""
    return hashlib.blake2b(repr((size, modality, _code())).encode(), digest_size=32).digest()


@cache
def _code() -> str:
    """Digest of the code that prepares images, and of the versions of the libraries it uses.

    The code itself, since between two releases it changes under one version number; and no other
    code, so that prepared images outlast changes that leave their pixels alone.
    """
    digest = hashlib.blake2b()
    for name in PIXEL_CODE:
        digest.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    for name in _LIBRARIES:
        try:
            digest.update(f"{name} {version(name)}".encode())
        except PackageNotFoundError:
            digest.update(name.encode())
    return digest.hexdigest()


def _key(path: Path, identity: bytes) -> bytes:
    return hashlib.blake2b(os.fsencode(path), key=identity, digest_size=16).digest()


def _stamp(file: Path) -> str:
    """Return the time and size of a file; empty if it is missing, which reading it will report."""
    try:
        status = file.stat()
    except OSError:
        return ""
    return f"{status.st_mtime_ns} {status.st_size}"


def _used(connection: sqlite3.Connection) -> int:
    """Return the bytes of the file that are in use."""
    pages, unused = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count")
    )
    return int(pages - unused) * PAGE
