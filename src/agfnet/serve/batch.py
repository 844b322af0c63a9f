"""Many lesions at once: a zip of images and a table, answered one by one between other requests."""

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
from agfnet.inference.table import Files, class_names, headers
from agfnet.serve.archive import MAX_RATIO, Allowance, unpack
from agfnet.serve.file_types import ZIP
from agfnet.serve.pool import Pool
from agfnet.serve.request_error import RequestError
from agfnet.serve.spool import Spool
from agfnet.serve.uploads import Received, Rules, receive

T = TypeVar("T")
TABLE = "cases.csv"
PROBLEMS = "problems.csv"
RANK = 2
"""After single lesions."""


@dataclass
class Batch:
    """One batch. Its tables are in memory; its images are gone once it is done."""

    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    state: str = "reading"
    done: int = 0
    total: int = 0
    problems: int = 0
    error: str | None = None
    tables: dict[str, str] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None

    def status(self) -> dict[str, Any]:
        """`BatchStatus` without what every reply has."""
        names = ("id", "state", "done", "total", "problems", "error")
        return {name: getattr(self, name) for name in names} | {"tables": list(self.tables)}


class Batches:
    """All batches of a server.

    Args:
        config: limits.
        bundle: what answers.
        pool: who works.
        spool: where the images lie until they are answered.
    """

    def __init__(self, *, config: ServeConfig, bundle: Bundle, pool: Pool, spool: Spool) -> None:
        self._config = config
        self._bundle = bundle
        self._pool = pool
        self._spool = spool
        self._kept: dict[str, Batch] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, name: str) -> Batch:
        """A batch.

        Raises:
            RequestError: there is none of this id, or no more.
        """
        if name not in self._kept:
            raise RequestError(404, "not_found", "there is no such batch, or no more")
        return self._kept[name]

    async def create(self, request: Request) -> Batch:
        """Take in what a request brings, and begin to work on it.

        Raises:
            RequestError: there are too many batches, or the request is not as it should be.
        """
        if len(self._kept) >= self._config.batches:
            raise RequestError(429, "busy", "too many batches; delete one, or wait", retry_after=60)
        batch = Batch()
        self._kept[batch.id] = batch  # holds the place while it is being sent
        folder = self._spool.new()
        try:
            rules = Rules(
                kinds={"archive": (ZIP,), "cases": (None,)},
                files=2,
                megabytes=self._config.batch_mb,
                seconds=self._config.batch_upload_s,
            )
            received = await receive(request, folder, rules)
            if {len(paths) for paths in received.files.values()} != {1} or received.texts:
                raise RequestError(422, "invalid", "expected one zip as 'archive', and one 'cases'")
            if "archive" not in received.files:
                raise RequestError(422, "invalid", "there is no zip; send it as 'archive'")
        except BaseException:
            self._kept.pop(batch.id, None)
            self._spool.drop(folder)
            raise
        batch.task = asyncio.create_task(self._work(batch, folder, received))
        return batch

    async def forget(self, name: str) -> None:
        """Stop work on a batch and drop all of it."""
        batch = self.get(name)
        del self._kept[name]
        if batch.task is not None:
            batch.task.cancel()
            with suppress(asyncio.CancelledError):
                await batch.task

    async def stop(self) -> None:
        """Drop all batches."""
        for name in list(self._kept):
            await self.forget(name)

    async def _work(self, batch: Batch, folder: Path, received: Received) -> None:
        try:
            table, cases = await finished(asyncio.to_thread(self._read, folder, received))
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
            self._config.batch_keep_s, self._kept.pop, batch.id, None
        )

    def _read(self, folder: Path, received: Received) -> tuple[Path, Sequence[Case]]:
        """Unpack and check everything."""
        config, files = self._config, folder / "files"
        files.mkdir()
        left = Allowance(
            files=config.batch_files,
            bytes=config.batch_unpacked_mb << 20,
            ratio=MAX_RATIO,
            nesting=0,
        )
        (archive,) = received.files["archive"]
        unpack(archive, files, left)
        archive.unlink()
        if "cases" in received.files:
            table = files / TABLE
            received.files["cases"][0].replace(table)
        else:
            table = find_table(files)
        check_cells(table)
        cases = read_cases(table, modalities=tuple(self._bundle.config.modalities)).cases
        if len(cases) > config.batch_files:
            raise RequestError(413, "too_many_files", f"more than {config.batch_files} lesions")
        return table, cases

    async def _answer(self, batch: Batch, table: Path, cases: Sequence[Case]) -> dict[str, str]:
        """The tables of all cases; as many at a time as there are workers."""
        names = class_names(self._bundle.config)
        tables = _Tables(self._bundle)
        under_way: deque[tuple[Case, asyncio.Task[Mapping[str, Any]]]] = deque()
        rest = iter(cases)
        try:
            while True:
                while len(under_way) < self._pool.count and (case := next(rest, None)):
                    job = job_of(case, names, table.parent)
                    ask = self._pool.run(job, rank=RANK, wait_s=None)
                    under_way.append((case, asyncio.create_task(ask)))
                if not under_way:
                    return tables.texts()
                case, task = under_way.popleft()
                try:
                    tables.add(await task)
                except RequestError as refused:
                    batch.problems += 1
                    tables.add({PROBLEMS: [[case.lesion_id, case.row, refused.message]]})
                batch.done += 1
        finally:
            for _, task in under_way:
                task.cancel()


class _Tables:
    """Tables that grow in memory."""

    def __init__(self, bundle: Bundle) -> None:
        names = ("predictions.csv", "frames.csv", "decisions.csv", PROBLEMS)
        self._texts = {name: io.StringIO() for name in names}
        self._used: set[str] = {"predictions.csv", "frames.csv"}
        for path, header in headers(Files(*map(Path, names)), bundle).items():
            self._write(path.name, [header])
            if path.name == "decisions.csv" and len(header) > 1:
                self._used.add(path.name)

    def add(self, rows: Mapping[str, Iterable[Sequence[object]]]) -> None:
        """Rows by table."""
        for name, found in rows.items():
            self._write(name, found)
        self._used |= rows.keys() & {PROBLEMS}

    def texts(self) -> dict[str, str]:
        """The tables that have something to say."""
        return {name: text.getvalue() for name, text in self._texts.items() if name in self._used}

    def _write(self, name: str, rows: Iterable[Sequence[object]]) -> None:
        csv.writer(self._texts[name], lineterminator="\n").writerows(rows)


async def finished(work: Coroutine[Any, Any, T]) -> T:
    """What comes of work in a thread; it is awaited even if nobody wants it any more."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with suppress(Exception):
            await task
        raise


def job_of(case: Case, names: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """What a worker is asked about a case."""
    return {
        "kind": "case",
        "lesion_id": case.lesion_id,
        "patient_id": case.patient_id,
        "label": names.get(case.label, ""),
        "files": {name: [str(path) for path in paths] for name, paths in case.images.items()},
        "folder": str(folder),
    }


def find_table(folder: Path) -> Path:
    """The one table of cases in an unpacked zip.

    Raises:
        RequestError: there is none, or there are several.
    """
    found = sorted(folder.rglob(TABLE))
    if len(found) != 1:
        raise RequestError(
            422,
            "invalid",
            f"the zip holds {len(found)} files {TABLE}; expected one, or send 'cases'",
        )
    return found[0]


def check_cells(table: Path) -> None:
    """Look that no path in a table leads out of its folder: nothing else of the machine is opened.

    Raises:
        DataError: the table cannot be read, or one does.
    """
    problems = Problems(table)
    for row in read_rows(table, problems).rows:
        for column, cell in row.cells.items():
            for name in cell.split(JOIN):
                path = PurePosixPath(name.strip())
                if path.is_absolute() or ".." in path.parts or "\0" in name:
                    problems.add(
                        "leads out of the zip; use a path relative to the table",
                        row=row.line,
                        column=column,
                    )
    problems.check()
