"""Byte strings kept on disk in one SQLite file: bounded, and shared by processes and by runs."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESERVE = 2**30  # bytes of the disk that stay free: checkpoints need room too
WAIT = 10.0  # seconds for another process to finish writing
PAGE = 4096

_TABLE = """CREATE TABLE IF NOT EXISTS images
    (key BLOB PRIMARY KEY, owner BLOB, stamp TEXT, checksum INTEGER, pixels BLOB)"""
# the agreed sign of a folder that backups leave out (bford.info/cachedir)
_TAG = """Signature: 8a477f597d28d172789f06886806bc55
# Images as agfnet prepared them for training. As confidential as the images themselves.
# May be deleted whenever nothing is being trained.
"""


@dataclass(frozen=True)
class Wording:
    """Words of the messages of a store."""

    entries: str  # what it keeps, as in "prepared images"
    shortage: str  # consequence of too little room, as in "the others are decoded in every epoch"
    failure: str  # consequence of a failure, likewise
    limit: str  # setting of the largest size


@dataclass(frozen=True)
class Entry:
    """A byte string and its keys."""

    key: bytes
    owner: bytes  # entries of one owner are announced and deleted together
    content: bytes
    stamp: str = ""  # state of the source that it was made from


class Store:
    """Byte strings in one SQLite file.

    Failures are logged once per process; the caller then makes its entries for every access.

    Args:
        folder: where the file is or will be.
        name: name of the file.
        max_bytes: largest size of the file.
        wording: words of the messages.
    """

    def __init__(self, *, folder: Path, name: str, max_bytes: int, wording: Wording) -> None:
        self._folder = folder
        self.file = folder / name
        self._max_bytes = max_bytes
        self._wording = wording
        self.reads = self.writes = True
        self._expected: set[bytes] = set()
        self._oldest, self._newest = 0, 0  # rows between which entries may be deleted
        # by process: SQLite forbids to use or close one that was inherited
        self._connections: dict[int, sqlite3.Connection] = {}

    def __del__(self) -> None:
        if connection := self._connections.pop(os.getpid(), None):
            connection.close()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_connections": {}}

    def expect(self, owners: Collection[bytes], *, count: int, size: int) -> bool:
        """Announce the entries of a run: others may be deleted to make room for them.

        Args:
            owners: owners of the entries.
            count: number of the entries.
            size: bytes of each, at most.

        Returns:
            All of them fit; otherwise a message has been logged.
        """
        self._expected = set(owners)
        try:
            newest = self.open().execute("SELECT max(rowid) FROM images").fetchone()
            self._newest = newest[0] or 0
            fitting = self._capacity() // (size + PAGE)
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)
            return False
        if fitting < count:
            self._say(
                f"room for about {fitting} of {count} {self._wording.entries}, so"
                f" {self._wording.shortage}; raise {self._wording.limit}, or name a folder on a"
                " larger disk with data.cache"
            )
        return fitting >= count

    def read(self, key: bytes, stamp: str = "") -> bytes | None:
        """Return the content of an entry; None if it is not kept, or damaged."""
        if not self.reads:
            return None
        query = "SELECT checksum, pixels FROM images WHERE key = ? AND stamp = ?"
        try:
            row = self.open().execute(query, (key, stamp)).fetchone()
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)
            return None
        if row is None or zlib.crc32(row[1]) != row[0]:
            return None
        content: bytes = row[1]
        return content

    def has(self, key: bytes) -> bool:
        """Check that an entry is kept, without reading it."""
        if not self.reads:
            return False
        try:
            query = "SELECT 1 FROM images WHERE key = ?"
            return self.open().execute(query, (key,)).fetchone() is not None
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)
            return False

    def write(self, entries: Sequence[Entry]) -> None:
        """Keep entries, all in one transaction; they replace entries of the same keys."""
        if not self.writes:
            return
        try:
            connection = self.open()
            if self._make_room(connection, sum(len(e.content) + PAGE for e in entries)):
                rows = [
                    (e.key, e.owner, e.stamp, zlib.crc32(e.content), e.content) for e in entries
                ]
                connection.execute("BEGIN IMMEDIATE")
                with connection:  # commits, or rolls back after an error
                    connection.executemany(
                        "INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?)", rows
                    )
        except (sqlite3.Error, OSError) as error:
            self._give_up(error, reading=False)

    def _make_room(self, connection: sqlite3.Connection, size: int) -> bool:
        """Delete old entries until `size` bytes fit; return False if they cannot fit."""
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
        return min(self._max_bytes, self.file.stat().st_size + free)

    def open(self) -> sqlite3.Connection:
        """Return the connection of this process."""
        process = os.getpid()
        if process not in self._connections:
            self._folder.mkdir(parents=True, exist_ok=True)
            tag = self._folder / "CACHEDIR.TAG"
            if not tag.exists():
                tag.write_text(_TAG, encoding="utf-8")
            # autocommit: an entry is there as a whole or not at all, whenever a process dies
            # the collector may close it from any thread
            connection = sqlite3.connect(
                self.file, timeout=WAIT, isolation_level=None, check_same_thread=False
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
            return  # only this entry, and only this time
        self.writes = False
        self.reads = self.reads and not reading
        if isinstance(error, OSError):
            reason, fix = error.strerror, ""
        else:
            reason, fix = str(error), f"delete {self.file.name}, or "
        self._say(
            f"{self._wording.entries} cannot be kept here ({reason}), so {self._wording.failure};"
            f" {fix}name another folder with data.cache"
        )

    def _say(self, text: str) -> None:
        logging.getLogger(__name__).warning("%s: %s", self._folder, text)


def _used(connection: sqlite3.Connection) -> int:
    """Return the bytes of the file that are in use."""
    pages, unused = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count")
    )
    return int(pages - unused) * PAGE
