"""Batches on disk, so that they survive a restart of the server: one private folder each."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from agfnet.errors import ConfigError
from agfnet.files import write_json, write_text

FOLDER = "agfnet_batches"
"""Within the folder for uploads; not `agfnet-...`, which the next server removes."""
STATE, ROWS, WORK = "batch.json", "rows.jsonl", "work"
_LOCK = "lock"


class BatchStore:
    """The folders of all batches of a server.

    A batch has its state in `batch.json`, the upload in `work/` until it is done, the rows of
    finished lesions in `rows.jsonl` and then its tables. What is deleted is deleted at once; what
    encrypts the disk encrypts these files.

    Args:
        parent: the folder for uploads.

    Raises:
        ConfigError: the folder cannot be written, belongs to another user, or is in use by another
            server.
    """

    def __init__(self, parent: Path) -> None:
        self.folder = parent / FOLDER
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            state = self.folder.lstat()
            if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid():
                raise ConfigError(f"spool: {self.folder}: is not a folder of this user; remove it")
            self.folder.chmod(0o700)
            self._lock = FileLock(self.folder / _LOCK)
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ConfigError(
                f"spool: {parent}: another server keeps its batches there; choose another folder"
            ) from None
        except OSError as error:
            raise ConfigError(
                f"spool: {parent}: cannot be written ({error.strerror}); choose another folder"
            ) from error

    def new(self, name: str) -> Path:
        """Create the folder of a batch, with a folder for its upload."""
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        (folder / WORK).mkdir()
        return folder

    def save(self, folder: Path, state: Mapping[str, Any]) -> None:
        """Write the state of a batch as a whole."""
        write_json(folder / STATE, state)

    def add_tables(self, folder: Path, tables: Mapping[str, str]) -> None:
        """Write the tables of a batch."""
        for name, text in tables.items():
            write_text(folder / name, text)

    def clean(self, folder: Path) -> None:
        """Delete the upload and the rows of a batch that has ended."""
        shutil.rmtree(folder / WORK, ignore_errors=True)
        with suppress(OSError):
            (folder / ROWS).unlink()

    def load(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yield folder and state of every batch; delete incomplete uploads."""
        for folder in sorted(path for path in self.folder.iterdir() if path.is_dir()):
            try:
                state = json.loads((folder / STATE).read_text(encoding="utf-8"))
            except (OSError, ValueError):  # the upload was not complete
                self.drop(folder)
                continue
            if state.get("ended") is not None:
                self.clean(folder)  # the last server may have had no time for it
            yield folder, state

    def add_rows(self, folder: Path, rows: Mapping[str, Iterable[object]]) -> None:
        """Append the rows of a lesion."""
        with (folder / ROWS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(rows) + "\n")

    def rows(self, folder: Path) -> list[dict[str, Any]]:
        """Return the rows of the finished lesions; an incomplete last line is removed."""
        path = folder / ROWS
        if not path.exists():
            return []
        content = path.read_bytes()
        complete = content[: content.rfind(b"\n") + 1]
        if complete != content:
            path.write_bytes(complete)
        return [json.loads(line) for line in complete.splitlines()]

    def drop(self, folder: Path) -> None:
        """Delete a batch."""
        with suppress(OSError):  # without its state it is deleted by the next start
            (folder / STATE).unlink()
        shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Leave the folder to the next server."""
        self._lock.release()
