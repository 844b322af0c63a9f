"""An ordered map over worker processes, for functions that spend their time outside torch."""

from __future__ import annotations

import math
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from agfnet.errors import DataError

AHEAD = 8
"""Items per worker that are submitted before their results are needed. It bounds the memory."""

CGROUPS = Path("/sys/fs/cgroup")
"""Folder in which Linux shows the limits of this process, as in a container."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def usable_cores() -> int:
    """Return the number of cores that this process may use.

    It is limited by the CPU affinity of the process, and by the CPU quota of a container.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, cpu_quota(CGROUPS))))


def threads_each(processes: int) -> int:
    """Return the number of threads of each of several processes.

    It is `OMP_NUM_THREADS`, if that is set, and otherwise an equal part of the usable cores.
    """
    return int(os.environ.get("OMP_NUM_THREADS") or max(1, usable_cores() // processes))


def cpu_quota(folder: Path) -> float:
    """Return the CPU time per time of a cgroup, of version 2 or 1; infinite without a limit."""
    for names in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):
        try:
            quota, period = " ".join((folder / name).read_text() for name in names).split()
        except (OSError, ValueError):
            continue
        return float(quota) / float(period) if float(quota.replace("max", "-1")) > 0 else math.inf
    return math.inf


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int
) -> Generator[tuple[Item, Result], None, None]:
    """Apply a function to items in worker processes.

    Close the generator (`contextlib.closing`) to stop the workers early.

    Args:
        function: a function that can be pickled.
        items: the arguments; they are read only as far as needed.
        workers: number of processes; with 0 the function is called in this process.

    Yields:
        Each item with its result, in the order of the items.

    Raises:
        DataError: a worker was killed.
    """
    if not workers:
        for item in items:
            yield item, function(item)
        return
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    remaining = iter(items)
    pool = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_ignore_interrupts
    )
    try:
        while True:
            for item in islice(remaining, AHEAD * workers - len(waiting)):
                waiting.append((item, pool.submit(function, item)))
            if not waiting:
                return
            item, future = waiting.popleft()
            yield item, future.result()
    except BrokenProcessPool:
        raise DataError(
            "a worker process was killed, possibly because the memory ran out; "
            "run the command again with fewer workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _ignore_interrupts() -> None:
    """Leave Ctrl-C to the parent process, which stops its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
