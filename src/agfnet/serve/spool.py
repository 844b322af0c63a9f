"""Private folders for uploads: in memory where the system has such, gone with the request."""

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
    """A folder that only this user can read, with a folder for each request in it.

    What a killed server left behind is removed when the next one starts: a folder whose lock
    nobody holds.

    Args:
        folder: where to make it; in memory if None and possible.

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
                f"spool: {parent}: cannot be written ({error.strerror}); name another folder"
            ) from error

    def new(self) -> Path:
        """A new folder, to be removed with `drop`."""
        return Path(mkdtemp(dir=self.folder))

    def drop(self, folder: Path) -> None:
        """Remove a folder and all in it."""
        shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def room(self) -> Iterator[Path]:
        """A folder for as long as it is needed."""
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
    """Whether a folder lies in a file system that is kept in memory."""
    try:
        device = folder.stat().st_dev
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    places = [place for _, place, kind, *_ in map(str.split, mounts) if kind in ("tmpfs", "ramfs")]
    return any(Path(place).exists() and Path(place).stat().st_dev == device for place in places)


def _remove_left_behind(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        try:
            state = folder.lstat()
            mine = stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid()
            if not mine or not (folder / _LOCK).exists():  # without: it is being made just now
                continue
            with FileLock(folder / _LOCK).acquire(timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # it is of a server that lives, or gone by now
            continue
