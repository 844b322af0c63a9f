"""One pass over all image files of a table, each decoded once."""

from __future__ import annotations

import os
import signal
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agfnet.check.images import THUMB, Facts, Fault, Role, look
from agfnet.data.folds import FOLD
from agfnet.data.table import Case
from agfnet.errors import DataError

BATCH = 32
"""Files that a worker is given at a time."""
FEW = 400
"""Fewer files than this are read sooner than workers have started."""
Seen = tuple[Facts, NDArray[np.uint8]] | Fault | None
"""What `look` returns."""


@dataclass(frozen=True, slots=True)
class Use:
    """An image or a mask as one cell of the table names it."""

    case: Case
    column: str
    path: Path
    facts: Facts
    number: int
    """Of the file, in the order of the pass."""

    def across(self, other: Use) -> str:
        """Where the other is, if a split or folds keep it apart from this one; or empty."""
        here, there = (
            each.case.split or each.case.attributes.get(FOLD, "") for each in (self, other)
        )
        return there if here and there and here != there else ""


@dataclass(frozen=True)
class Survey:
    """What was read."""

    facts: dict[Path, Facts | Fault]
    """What each file holds, or why it could not be read; none of missing and empty files."""
    numbers: dict[Path, int]
    thumbs: NDArray[np.uint8]
    """(n, THUMB, THUMB), by number; in a temporary file and not in memory."""


def survey(
    roles: Mapping[Path, Role],
    *,
    workers: int | None,
    progress: Callable[[int, int], None] | None = None,
) -> Survey:
    """Look at every file once.

    Args:
        roles: the files, and what each is said to be.
        workers: processes that read; 0 reads in this one, None takes one per core.
        progress: called with files done and files in all.
    """
    numbers = {path: number for number, path in enumerate(roles)}
    with tempfile.TemporaryFile() as file:  # gone when the array is
        thumbs = np.memmap(file, dtype=np.uint8, shape=(max(1, len(roles)), THUMB, THUMB))
    facts: dict[Path, Facts | Fault] = {}
    jobs = list(roles.items())
    workers = _cores() if workers is None else workers
    with closing(_seen(jobs, workers if len(jobs) > FEW else 0)) as batches:
        done = 0
        for paths, found in batches:
            for path, seen in zip(paths, found, strict=True):
                if isinstance(seen, tuple):
                    facts[path], thumbs[numbers[path]] = seen
                elif seen is not None:
                    facts[path] = seen
            done += len(paths)
            if progress is not None:
                progress(done, len(jobs))
    return Survey(facts, numbers, thumbs)


def _cores() -> int:
    """Those that this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


Job = tuple[Path, Role]


def _look_at(jobs: list[Job]) -> list[Seen]:
    return [look(path, role) for path, role in jobs]


def _seen(jobs: list[Job], workers: int) -> Generator[tuple[list[Path], list[Seen]], None, None]:
    """Batches of files in order, with what was seen; few are under way at any time."""
    batches = ([*jobs[i : i + BATCH]] for i in range(0, len(jobs), BATCH))
    if workers == 0:
        for batch in batches:
            yield [path for path, _ in batch], _look_at(batch)
        return
    waiting: deque[tuple[list[Job], Future[list[Seen]]]] = deque()
    pool = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_leave_interrupts
    )
    try:
        while True:
            for batch in islice(batches, 4 * workers - len(waiting)):
                waiting.append((batch, pool.submit(_look_at, batch)))
            if not waiting:
                return
            batch, future = waiting.popleft()
            yield [path for path, _ in batch], future.result()
    except BrokenProcessPool:
        raise DataError(
            "a process that read images was stopped from outside, perhaps for want of memory; "
            "try again with fewer workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts() -> None:
    """In a worker: Ctrl-C is for the parent, which then stops its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
