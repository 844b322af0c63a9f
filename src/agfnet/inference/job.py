"""Tables that grow together, and lose or double no row whatever stops the work."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from io import FileIO, StringIO
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from agfnet.errors import DataError, RunError
from agfnet.files import replacing

Rows = Iterable[Sequence[object]]
PART = ".part"


class Job:
    """Some CSV tables under way: each grows as `NAME.part`; a job file says how far all are.

    `keep` brings all that was added to the disk, and then notes the length of every table. Opened
    again after any stop, each table is cut back to the noted length, so that a torn row and rows
    that only some tables have are gone. `finish` gives the tables their names.

    Args:
        file: the job file.
        headers: columns of each table.
        identity: what must be the same to go on with a job that was stopped, by what to call it.

    Attributes:
        done: how much was kept, in whatever unit `keep` was told.
        skipped: how much of it brought no row.
        finished: only `finish` is left to do.

    Raises:
        RunError: another process is at work on it, or it is another job.
        DataError: a table is shorter than was noted, or a file cannot be written.
    """

    def __init__(
        self, *, file: Path, headers: Mapping[Path, Sequence[str]], identity: Mapping[str, Any]
    ) -> None:
        self.file = file
        self.identity = dict(identity)
        self.headers = headers
        self.done = 0
        self.skipped = 0
        self.finished = False
        self._lock = file.with_name(file.name + ".lock")
        self._parts: dict[Path, FileIO] = {}
        self._open = ExitStack()

    def __enter__(self) -> Job:
        try:
            with _writing(self.file):
                self.file.parent.mkdir(parents=True, exist_ok=True)
                self._open.enter_context(FileLock(self._lock).acquire(timeout=0))
                noted = self._noted()
                if not self.finished:
                    for path, header in self.headers.items():
                        self._parts[path] = self._part(path, header, noted)
                if noted is None:
                    self._note(finished=False)
        except Timeout:
            raise RunError(
                f"{self.file}: another process is at work on it; wait for it, or choose another"
                " --out"
            ) from None
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def add(self, path: Path, rows: Rows) -> None:
        """Append rows to one of the tables."""
        with _writing(path):
            _append(self._parts[path], rows)

    def keep(self, *, done: int, skipped: int) -> None:
        """What was added until now survives any stop."""
        self.done, self.skipped = done, skipped
        with _writing(self.file):
            self._note(finished=False)

    def finish(self, *, without: Sequence[Path] = ()) -> None:
        """Give the tables their names, but remove those that are to be left out."""
        with _writing(self.file):
            if not self.finished:
                self._note(finished=True)
            for path in self.headers:
                part = part_of(path)
                if path in without:
                    part.unlink(missing_ok=True)
                    path.unlink(missing_ok=True)
                elif part.exists():  # else it was renamed before a stop
                    part.replace(path)
            self.file.unlink()
            with suppress(OSError):  # systems that keep what is open
                self._lock.unlink()

    def _note(self, *, finished: bool) -> None:
        for part in self._parts.values():
            os.fsync(part.fileno())
        state = {
            "identity": self.identity,
            "done": self.done,
            "skipped": self.skipped,
            "finished": finished,
            "bytes": {path.name: part.tell() for path, part in self._parts.items()},
        }
        with replacing(self.file) as temporary, temporary.open("w", encoding="utf-8") as file:
            json.dump(state, file, indent=2)
            file.flush()
            os.fsync(file.fileno())

    def _noted(self) -> dict[str, int] | None:
        """The noted length of every table; None for a new job."""
        for path in self.headers:
            if path.is_dir():
                raise RunError(f"{path}: is a folder; name a file with --out")
        if not self.file.exists():
            return None
        anew = f"delete {self.file} to start anew, or choose another --out"
        try:
            state = json.loads(self.file.read_bytes())
            before, sizes = dict(state["identity"]), dict(state["bytes"])
            self.done, self.skipped = int(state["done"]), int(state["skipped"])
            self.finished = bool(state["finished"])
        except (ValueError, TypeError, KeyError) as error:
            raise RunError(f"{self.file}: is damaged; {anew}") from error
        keys = {**before, **self.identity}
        if other := [key for key in keys if before.get(key) != self.identity.get(key)]:
            raise RunError(f"{self.file}: is a job with another {' and '.join(other)}; {anew}")
        for path in () if self.finished else self.headers:
            part = part_of(path)
            if not part.is_file() or part.stat().st_size < sizes.get(path.name, 0):
                raise DataError(f"{part}: is missing or shorter than it was; {anew}")
        return sizes

    def _part(self, path: Path, header: Sequence[str], noted: Mapping[str, int] | None) -> FileIO:
        """A table open at its end, unbuffered: what cannot be written is known at once."""
        if noted is not None:
            os.truncate(part_of(path), noted[path.name])
        file = self._open.enter_context(FileIO(part_of(path), "w" if noted is None else "a"))
        if noted is None:
            _append(file, [header])
        return file


def part_of(path: Path) -> Path:
    """Where a table grows."""
    return path.with_name(path.name + PART)


def _append(file: FileIO, rows: Rows) -> None:
    text = StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    rest = memoryview(text.getvalue().encode())
    while rest:
        rest = rest[file.write(rest) :]


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """A full disk and the like as an error that says how to go on."""
    try:
        yield
    except Timeout:
        raise
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written: {error.strerror}; mend that, and the same command goes on"
            " where it stopped"
        ) from error
