"""Batches: a zip archive of images and a table, predicted between other requests."""

from __future__ import annotations

import asyncio
import csv
import io
import secrets
from collections import deque
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from starlette.requests import Request

from agfnet.bundle import Bundle
from agfnet.config import ServeConfig
from agfnet.data.problems import Problems
from agfnet.data.rows import read_rows
from agfnet.data.table import JOIN, Case, read_cases
from agfnet.errors import AgfnetError
from agfnet.inference.table import TableFiles, class_names, headers
from agfnet.serve.archive import MAX_NAME, path_in, unpack
from agfnet.serve.file_types import ZIP
from agfnet.serve.limits import Limits
from agfnet.serve.pool import Pool
from agfnet.serve.request_error import RequestError
from agfnet.serve.spool import Spool
from agfnet.serve.uploads import Received, Rules, receive

T = TypeVar("T")
TABLE = "cases.csv"
PROBLEMS = "problems.csv"
RANK = 2
"""Batches wait for single lesions."""
ENCODINGS = ("gbk", "big5", "shift_jis", "cp1252")
"""Encodings of names in archives of Windows, which do not state theirs."""


@dataclass
class Batch:
    """One batch. Its tables are in memory; its images are deleted when it is done."""

    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    state: str = "reading"
    done: int = 0
    total: int = 0
    problems: int = 0
    error: str | None = None
    tables: dict[str, str] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None

    def status(self) -> dict[str, Any]:
        """Return the fields of `BatchStatus`."""
        names = ("id", "state", "done", "total", "problems", "error")
        return {name: getattr(self, name) for name in names} | {"tables": list(self.tables)}


class Batches:
    """All batches of a server.

    Args:
        config: the settings.
        limits: the limits of a request.
        bundle: the model.
        pool: the workers.
        spool: the folder for the images.
    """

    def __init__(
        self, *, config: ServeConfig, limits: Limits, bundle: Bundle, pool: Pool, spool: Spool
    ) -> None:
        self._config = config
        self._limits = limits
        self._bundle = bundle
        self._pool = pool
        self._spool = spool
        self._batches: dict[str, Batch] = {}

    def __len__(self) -> int:
        return len(self._batches)

    def get(self, name: str) -> Batch:
        """Return a batch.

        Raises:
            RequestError: the id is unknown, or the batch is deleted.
        """
        if name not in self._batches:
            raise RequestError(404, "not_found", "the batch is not found, or no longer available")
        return self._batches[name]

    async def create(self, request: Request) -> Batch:
        """Receive a batch and start to work on it.

        Raises:
            RequestError: too many batches, or an invalid request.
        """
        if len(self._batches) >= self._config.batches:
            raise RequestError(429, "busy", "too many batches; delete one, or wait", retry_after=60)
        batch = Batch()
        self._batches[batch.id] = batch  # counts while it is being received
        folder = self._spool.new()
        try:
            rules = Rules(
                types={"archive": (ZIP,), "cases": (None,)},
                files=2,
                megabytes=self._limits.batch_mb,
                seconds=self._config.batch_upload_s,
            )
            received = await receive(request, folder, rules)
            if {len(paths) for paths in received.files.values()} != {1} or received.texts:
                raise RequestError(422, "invalid", "expected one zip as 'archive', and one 'cases'")
            if "archive" not in received.files:
                text = "the zip archive is missing; send it as 'archive'"
                raise RequestError(422, "invalid", text)
        except BaseException:
            self._batches.pop(batch.id, None)
            self._spool.drop(folder)
            raise
        batch.task = asyncio.create_task(self._work(batch, folder, received))
        return batch

    async def delete(self, name: str) -> None:
        """Stop a batch and delete its files and tables."""
        batch = self.get(name)
        del self._batches[name]
        if batch.task is not None:
            batch.task.cancel()
            with suppress(asyncio.CancelledError):
                await batch.task

    async def stop(self) -> None:
        """Delete all batches."""
        for name in list(self._batches):
            await self.delete(name)

    async def _work(self, batch: Batch, folder: Path, received: Received) -> None:
        try:
            table, cases = await shielded(asyncio.to_thread(self._read, folder, received))
            batch.total, batch.state = len(cases), "running"
            batch.tables = await self._answer(batch, table, cases)
            batch.state = "done"
        except (AgfnetError, RequestError) as error:
            text = error.message if isinstance(error, RequestError) else str(error)
            batch.state, batch.error = "failed", text.replace(f"{folder / 'files'}/", "")
        except Exception as error:
            batch.state, batch.error = "failed", f"the server failed ({type(error).__name__})"
        finally:
            await asyncio.to_thread(self._spool.drop, folder)
        asyncio.get_running_loop().call_later(
            self._config.batch_keep_s, self._batches.pop, batch.id, None
        )

    def _read(self, folder: Path, received: Received) -> tuple[Path, Sequence[Case]]:
        """Unpack the archive and check the whole table."""
        files = folder / "files"
        files.mkdir()
        (archive,) = received.files["archive"]
        unpack(archive, files, self._limits)
        archive.unlink()
        if "cases" in received.files:
            table = files / TABLE
            received.files["cases"][0].replace(table)
        else:
            table = find_table(files)
        resolve_cells(table)
        problems = Problems(table)  # its notes name patients, and stay out of the log
        modalities = tuple(self._bundle.config.modalities)
        cases = read_cases(table, modalities=modalities, problems=problems).cases
        problems.check()
        if len(cases) > self._limits.batch_files:
            text = f"more than {self._limits.batch_files} lesions"
            raise RequestError(413, "too_many_files", text)
        return table, cases

    async def _answer(self, batch: Batch, table: Path, cases: Sequence[Case]) -> dict[str, str]:
        """Return the tables of all cases; works on one case per worker at a time."""
        names = class_names(self._bundle.config)
        tables = _Tables(self._bundle)
        running: deque[tuple[Case, asyncio.Task[Mapping[str, Any]]]] = deque()
        rest = iter(cases)
        try:
            while True:
                while len(running) < self._pool.count and (case := next(rest, None)):
                    job = job_of(case, names, table.parent)
                    ask = self._pool.run(job, rank=RANK, wait_s=None)
                    running.append((case, asyncio.create_task(ask)))
                if not running:
                    return tables.texts()
                case, task = running.popleft()
                try:
                    tables.add(await task)
                except RequestError as error:
                    batch.problems += 1
                    tables.add({PROBLEMS: [[case.lesion_id, case.row, error.message]]})
                batch.done += 1
        finally:
            for _, task in running:
                task.cancel()


class _Tables:
    """Tables that grow in memory."""

    def __init__(self, bundle: Bundle) -> None:
        names = ("predictions.csv", "frames.csv", "decisions.csv", PROBLEMS)
        self._texts = {name: io.StringIO() for name in names}
        self._used: set[str] = {"predictions.csv", "frames.csv"}
        for path, header in headers(TableFiles(*map(Path, names)), bundle).items():
            self._write(path.name, [header])
            if path.name == "decisions.csv" and len(header) > 1:
                self._used.add(path.name)

    def add(self, rows: Mapping[str, Iterable[Sequence[object]]]) -> None:
        """Add rows, by table."""
        for name, lines in rows.items():
            self._write(name, lines)
        self._used |= rows.keys() & {PROBLEMS}

    def texts(self) -> dict[str, str]:
        """Return the tables that have content."""
        return {name: text.getvalue() for name, text in self._texts.items() if name in self._used}

    def _write(self, name: str, rows: Iterable[Sequence[object]]) -> None:
        csv.writer(self._texts[name], lineterminator="\n").writerows(rows)


async def shielded(work: Coroutine[Any, Any, T]) -> T:
    """Await work in a thread to its end, even if the caller is cancelled."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with suppress(Exception):
            await task
        raise


def job_of(case: Case, names: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """Return the job of a case."""
    return {
        "kind": "case",
        "lesion_id": case.lesion_id,
        "patient_id": case.patient_id,
        "label": names.get(case.label, ""),
        "files": {name: [str(path) for path in paths] for name, paths in case.images.items()},
        "folder": str(folder),
    }


def find_table(folder: Path) -> Path:
    """Find the table of cases in an unpacked archive.

    Raises:
        RequestError: it has no table, or several.
    """
    tables = sorted(folder.rglob(TABLE))
    if len(tables) != 1:
        text = f"the zip archive contains {len(tables)} files {TABLE}"
        raise RequestError(422, "invalid", f"{text}; expected one, or a file 'cases'")
    return tables[0]


def resolve_cells(table: Path) -> None:
    """Check that every path of a table stays in its folder, and find files with recoded names.

    An archive may have a name in another Unicode form or encoding than the table. The file is then
    linked under the name in the table.

    Raises:
        DataError: the table cannot be read, or a path leads out of the folder.
    """
    problems = Problems(table)
    for row in read_rows(table, problems).rows:
        for column, cell in row.cells.items():
            for name in map(str.strip, cell.split(JOIN)):
                path = PurePosixPath(name)
                if path.is_absolute() or ".." in path.parts or "\0" in name:
                    problems.add(
                        "leads out of the zip archive; use a path relative to the table",
                        row=row.line,
                        column=column,
                    )
                elif not name.isascii() and len(name) <= MAX_NAME:
                    _link(table.parent, name)
    problems.check()


def _link(folder: Path, name: str) -> None:
    """Link a file under a name of the table, if the archive has it under a recoded name."""
    target = folder / name
    names = [name]
    for encoding in ENCODINGS:
        with suppress(UnicodeError):
            names.append(name.encode(encoding).decode("cp437"))
    with suppress(OSError):  # such as a name that is too long: no file then
        for source in (folder / path_in(other) for other in names):
            if not target.exists() and source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.hardlink_to(source)
