"""Batches: a zip archive of images and a table, predicted between other requests."""

from __future__ import annotations

import asyncio
import csv
import io
import logging
import secrets
import shutil
import time
from collections import deque
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from starlette.requests import Request

from agfnet.bundle import Bundle
from agfnet.config import ServeConfig
from agfnet.data.file_types import ZIP
from agfnet.data.problems import Problems
from agfnet.data.streaming import check_label
from agfnet.data.table import Case, read_cases
from agfnet.errors import AgfnetError
from agfnet.inference.table import TableFiles, class_names, headers
from agfnet.serve.archive import unpack
from agfnet.serve.batch_store import WORK, BatchStore
from agfnet.serve.batch_table import TABLE, find_table, resolve_cells
from agfnet.serve.limits import Limits
from agfnet.serve.monitoring import log
from agfnet.serve.pool import Pool
from agfnet.serve.request_error import RequestError
from agfnet.serve.uploads import Rules, receive
from agfnet.translation import batch_problems, in_all_languages

T = TypeVar("T")
PROBLEMS = "problems.csv"
FILES = "files"
"""Folder of the unpacked archive."""
RANK = 2
"""Batches wait for single lesions."""
ENDED = ("done", "failed")
OTHER_MODEL = "the server was restarted with another model; send the batch again"


@dataclass
class Batch:
    """One batch. Its folder has the upload until it is done, then its tables."""

    folder: Path
    id: str
    state: str = "reading"
    done: int = 0
    total: int = 0
    problems: int = 0
    error: str | None = None
    tables: list[str] = field(default_factory=list)
    ended: float | None = None
    """Unix time."""
    uploads: dict[str, str] = field(default_factory=dict)
    """Names of the uploaded files, by field."""
    table: str = ""
    """Path of the table in the unpacked archive."""
    task: asyncio.Task[None] | None = None

    def status(self) -> dict[str, Any]:
        """Return the fields of `BatchStatus`."""
        names = ("id", "state", "done", "total", "problems", "error", "tables")
        sentences = in_all_languages(partial(batch_problems, self.error or ""))
        return {name: getattr(self, name) for name in names} | {"sentences": sentences}


class Batches:
    """All batches of a server.

    Args:
        config: the settings.
        limits: the limits of a request.
        bundle: the model.
        pool: the workers.
        store: the folders of the batches.
    """

    def __init__(
        self, *, config: ServeConfig, limits: Limits, bundle: Bundle, pool: Pool, store: BatchStore
    ) -> None:
        self._config = config
        self._limits = limits
        self._bundle = bundle
        self._pool = pool
        self._store = store
        self._model = ""
        self._batches: dict[str, Batch] = {}

    def __len__(self) -> int:
        return len(self._batches)

    def resume(self, model: str) -> None:
        """Take over the batches of an earlier server; call it when the workers are ready.

        Args:
            model: SHA-256 of the model. A batch that another model has begun fails.
        """
        self._model = model
        for folder, state in self._store.load():
            try:
                other = state.pop("model") != model
                batch = Batch(folder=folder, **state)
            except (KeyError, TypeError):  # of another version
                self._store.drop(folder)
                continue
            self._batches[batch.id] = batch
            if batch.state in ENDED:
                self._forget_later(batch)
            elif other:
                self._end(batch, error=OTHER_MODEL)
            else:
                batch.task = asyncio.create_task(self._work(batch))
        if self._batches:
            log("batches_resumed", batches=len(self._batches))

    def get(self, name: str) -> Batch:
        """Return a batch.

        Raises:
            RequestError: the id is unknown, or the batch is deleted.
        """
        if name not in self._batches:
            raise RequestError(404, "not_found", "the batch is not found, or no longer available")
        return self._batches[name]

    def table(self, name: str, table: str) -> str:
        """Return the text of a table of a finished batch.

        Raises:
            RequestError: there is no such batch or table.
        """
        batch = self.get(name)
        if table not in batch.tables:
            raise RequestError(404, "not_found", "the table does not exist, or not yet")
        return (batch.folder / table).read_text(encoding="utf-8")

    async def create(self, request: Request) -> Batch:
        """Receive a batch and start to work on it.

        Raises:
            RequestError: too many batches, or an invalid request.
        """
        self._forget_failed()
        if len(self._batches) >= self._config.batches:
            raise RequestError(429, "busy", "too many batches; delete one, or wait", retry_after=60)
        name = secrets.token_urlsafe(16)
        try:
            batch = Batch(folder=self._store.new(name), id=name)
            self._batches[name] = batch  # counts while it is being received
            batch.uploads = await self._receive(request, batch.folder / WORK)
            self._save(batch)
        except BaseException as error:
            self._drop(name)
            if isinstance(error, OSError):
                text = f"no room for the batch ({error.strerror})"
                raise RequestError(503, "no_room", text, retry_after=60) from None
            raise
        batch.task = asyncio.create_task(self._work(batch))
        return batch

    async def _receive(self, request: Request, folder: Path) -> dict[str, str]:
        """Write the files of a request to a folder; return their names by field."""
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
        return {field: paths[0].name for field, paths in received.files.items()}

    def _forget_failed(self) -> None:
        """Make room: a batch that failed has no tables, and must not keep others out."""
        failed = [batch.id for batch in self._batches.values() if batch.state == "failed"]
        if failed and len(self._batches) >= self._config.batches:
            self._drop(failed[0])

    async def delete(self, name: str) -> None:
        """Stop a batch and delete its files and tables."""
        batch = self.get(name)
        del self._batches[name]
        await cancelled(batch.task)
        await asyncio.to_thread(self._store.drop, batch.folder)

    async def stop(self) -> None:
        """Stop the work on all batches; the next server resumes it if the store is kept."""
        for batch in self._batches.values():
            await cancelled(batch.task)
        self._store.close()

    def _drop(self, name: str) -> None:
        """Delete a batch that nobody works on."""
        batch = self._batches.pop(name, None)
        if batch is not None:
            self._store.drop(batch.folder)

    def _save(self, batch: Batch) -> None:
        fields = ("state", "total", "problems", "error", "tables", "ended", "uploads", "table")
        state = {name: getattr(batch, name) for name in ("id", "done", *fields)}
        self._store.save(batch.folder, state | {"model": self._model})

    async def _work(self, batch: Batch) -> None:
        """Work on a batch to its end; a cancelled one stays as it is."""
        try:
            table, cases = await shielded(asyncio.to_thread(self._read, batch))
            batch.total, batch.state = len(cases), "running"
            self._save(batch)
            (batch.folder / WORK / batch.uploads["archive"]).unlink(missing_ok=True)
            await self._answer(batch, table, cases)
            await shielded(asyncio.to_thread(self._write_tables, batch))
            self._end(batch)
        except (AgfnetError, RequestError) as error:
            text = error.message if isinstance(error, RequestError) else str(error)
            self._end(batch, error=text.replace(f"{batch.folder / WORK / FILES}/", ""))
        except Exception as error:
            self._end(batch, error=f"the server failed ({type(error).__name__})")

    def _end(self, batch: Batch, *, error: str | None = None) -> None:
        """Record the end of a batch, and delete all but its tables."""
        batch.state, batch.error, batch.ended = "failed" if error else "done", error, time.time()
        try:
            self._save(batch)
        except OSError as fault:
            log("fault", level=logging.ERROR, fault=type(fault).__name__)
        self._store.clean(batch.folder)
        self._forget_later(batch)

    def _forget_later(self, batch: Batch) -> None:
        seconds = self._config.batch_keep_s - (time.time() - (batch.ended or 0))
        asyncio.get_running_loop().call_later(max(0, seconds), self._drop, batch.id)

    def _read(self, batch: Batch) -> tuple[Path, Sequence[Case]]:
        """Unpack the archive, unless an earlier server has, and check the whole table."""
        work = batch.folder / WORK
        files = work / FILES
        if batch.state == "reading":
            shutil.rmtree(files, ignore_errors=True)
            files.mkdir()
            unpack(work / batch.uploads["archive"], files, self._limits)
            if "cases" in batch.uploads:
                shutil.copyfile(work / batch.uploads["cases"], files / TABLE)
                batch.table = TABLE
            else:
                batch.table = str(find_table(files).relative_to(files))
            resolve_cells(files / batch.table)
        table = files / batch.table
        problems = Problems(table)  # its notes name patients, and stay out of the log
        modalities = tuple(self._bundle.config.modalities)
        # only workers open images
        cases = read_cases(table, modalities=modalities, problems=problems, check_boxes=False).cases
        if self._bundle.config.labels is None:  # as `agfnet predict`: other labels may be left out
            for case in cases:
                check_label(case, self._bundle.config.classes, problems)
        problems.check()
        if len(cases) > self._limits.batch_files:
            text = f"more than {self._limits.batch_files} lesions"
            raise RequestError(413, "too_many_files", text)
        return table, cases

    async def _answer(self, batch: Batch, table: Path, cases: Sequence[Case]) -> None:
        """Predict the remaining cases, one per worker at a time, and keep their rows in order."""
        names = class_names(self._bundle.config)
        known = self._store.rows(batch.folder)
        batch.done, batch.problems = len(known), sum(PROBLEMS in rows for rows in known)
        running: deque[tuple[Case, asyncio.Task[Mapping[str, Any]]]] = deque()
        rest = iter(cases[batch.done :])
        try:
            while True:
                while len(running) < self._pool.count and (case := next(rest, None)):
                    job = job_of(case, names, table.parent)
                    ask = self._pool.run(job, rank=RANK, wait_s=None)
                    running.append((case, asyncio.create_task(ask)))
                if not running:
                    return
                case, task = running.popleft()
                try:
                    rows = await task
                except RequestError as error:
                    batch.problems += 1
                    rows = {PROBLEMS: [[case.lesion_id, case.row, error.message]]}
                self._store.add_rows(batch.folder, rows)
                batch.done += 1
        finally:
            for _, task in running:
                task.cancel()

    def _write_tables(self, batch: Batch) -> None:
        """Write the tables of all rows."""
        tables = _Tables(self._bundle)
        for rows in self._store.rows(batch.folder):
            tables.add(rows)
        texts = tables.texts()
        self._store.add_tables(batch.folder, texts)
        batch.tables = list(texts)


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


async def cancelled(task: asyncio.Task[None] | None) -> None:
    """Cancel a task and wait for its end."""
    if task is not None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


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
