"""Tables that grow together and neither lose nor repeat a row after an interruption."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from glob import escape
from io import FileIO, StringIO
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from agfnet.errors import DataError, RunError
from agfnet.files import replacing

Rows = Iterable[Sequence[object]]
PART = ".part"


class Job:
    """CSV tables in progress: each grows as `NAME.part`, and a job file holds the progress.

    `save` flushes all rows to the disk and then records the length of every table. After an
    interruption, each table is truncated to its recorded length, which removes incomplete rows and
    rows that only some tables have. `finish` gives the tables their final names.

    Args:
        file: the job file.
        headers: columns of each table.
        identity: values that must be the same to resume a job, by their name in messages.

    Attributes:
        done: saved progress, in the unit of `save`.
        skipped: the part of it without a row.
        finished: all rows are saved, and only the final names are missing.

    Raises:
        RunError: another process works on the job, or the files belong to another job.
        DataError: a table is shorter than recorded, or a file cannot be written.
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
                lengths = self._recorded()
                if not self.finished:
                    for path, header in self.headers.items():
                        self._parts[path] = self._part(path, header, lengths)
                if lengths is None:
                    self._record(finished=False)
        except Timeout:
            raise RunError(
                f"{self.file}: another process works on this job; wait for it, or choose another"
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

    def save(self, *, done: int, skipped: int) -> None:
        """Save all rows that were added until now."""
        self.done, self.skipped = done, skipped
        with _writing(self.file):
            self._record(finished=False)

    def finish(self, *, without: Sequence[Path] = ()) -> None:
        """Give the tables their final names; remove those of `without`."""
        with _writing(self.file):
            if not self.finished:
                self._record(finished=True)
            for path in self.headers:
                part = part_of(path)
                if path in without:
                    part.unlink(missing_ok=True)
                    path.unlink(missing_ok=True)
                elif part.exists():  # otherwise it was renamed before an interruption
                    part.replace(path)
            for temporary in self.file.parent.glob(f".{escape(self.file.name)}.[0-9]*"):
                temporary.unlink()  # of killed processes, since the lock admits one at a time
            self.file.unlink()
            with suppress(OSError):  # some systems keep open files
                self._lock.unlink()

    def _record(self, *, finished: bool) -> None:
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

    def _recorded(self) -> dict[str, int] | None:
        """Return the recorded length of every table; None for a new job."""
        for path in self.headers:
            if path.is_dir():
                raise RunError(f"{path}: is a folder; expected a file, set another --out")
        if not self.file.exists():
            return None
        restart = f"delete {self.file} to start again, or choose another --out"
        try:
            state = json.loads(self.file.read_bytes())
            before, sizes = dict(state["identity"]), dict(state["bytes"])
            self.done, self.skipped = int(state["done"]), int(state["skipped"])
            self.finished = bool(state["finished"])
        except (ValueError, TypeError, KeyError) as error:
            raise RunError(f"{self.file}: is damaged; {restart}") from error
        keys = {**before, **self.identity}
        if other := [key for key in keys if before.get(key) != self.identity.get(key)]:
            raise RunError(
                f"{self.file}: belongs to a job with another {' and '.join(other)}; {restart}"
            )
        for path in () if self.finished else self.headers:
            part = part_of(path)
            if not part.is_file() or part.stat().st_size < sizes.get(path.name, 0):
                raise DataError(f"{part}: is missing or shorter than recorded; {restart}")
        return sizes

    def _part(self, path: Path, header: Sequence[str], lengths: Mapping[str, int] | None) -> FileIO:
        """Open a table at its end, unbuffered, so that a write error is raised at once."""
        if lengths is not None:
            os.truncate(part_of(path), lengths[path.name])
        file = self._open.enter_context(FileIO(part_of(path), "w" if lengths is None else "a"))
        if lengths is None:
            _append(file, [header])
        return file


def part_of(path: Path) -> Path:
    """Return the path of a table in progress."""
    return path.with_name(path.name + PART)


def _append(file: FileIO, rows: Rows) -> None:
    text = StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    rest = memoryview(text.getvalue().encode())
    while rest:
        rest = rest[file.write(rest) :]


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn errors of the file system, such as a full disk, into a `DataError`."""
    try:
        yield
    except Timeout:
        raise
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written: {error.strerror}; fix this and run the same command to"
            " resume"
        ) from error
