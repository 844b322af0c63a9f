"""Private folders for uploads, in memory if possible, which are removed with the request."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir, mkdtemp

from filelock import FileLock

from agfnet.errors import ConfigError

MEMORY = Path("/dev/shm")
_PREFIX, _LOCK = "agfnet-", "lock"


class Spool:
    """A folder that only this user can read, with one folder per request.

    The next server removes the folder of a killed one: its lock is free.

    Args:
        folder: the parent folder; None: in memory if possible.

    Raises:
        ConfigError: the folder cannot be written.
    """

    def __init__(self, *, folder: str | None) -> None:
        in_memory = MEMORY.is_dir() and os.access(MEMORY, os.W_OK)
        parent = Path(folder) if folder else MEMORY if in_memory else Path(gettempdir())
        self.in_memory = _is_memory(parent)
        try:
            _remove_left_behind(parent)
            self.folder = Path(mkdtemp(prefix=_PREFIX, dir=parent))  # of mode 0700
            self._lock = FileLock(self.folder / _LOCK)
            self._lock.acquire(timeout=0)
        except OSError as error:
            raise ConfigError(
                f"spool: {parent}: cannot be written ({error.strerror}); choose another folder"
            ) from error

    def new(self) -> Path:
        """Create a folder; remove it with `drop`."""
        return Path(mkdtemp(dir=self.folder))

    def drop(self, folder: Path) -> None:
        """Remove a folder and its content."""
        shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def temporary(self) -> Iterator[Path]:
        """Create a folder that is removed at the end."""
        folder = self.new()
        try:
            yield folder
        finally:
            self.drop(folder)

    def close(self) -> None:
        """Remove everything."""
        self._lock.release()
        self.drop(self.folder)


def _is_memory(folder: Path) -> bool:
    """Return True if a folder is in a file system in memory."""
    try:
        device = folder.stat().st_dev
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    points = [Path(p) for _, p, kind, *_ in map(str.split, mounts) if kind in ("tmpfs", "ramfs")]
    return any(point.exists() and point.stat().st_dev == device for point in points)


def _remove_left_behind(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        try:
            state = folder.lstat()
            ours = stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid()
            if not ours or not (folder / _LOCK).exists():  # without a lock it is just being made
                continue
            with FileLock(folder / _LOCK).acquire(timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # the server still runs, or the folder is gone
            continue
