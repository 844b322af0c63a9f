"""Doing many runs: one after another, in several processes, or on a Ray cluster.

Each way gives the same results, since a run depends on nothing but its settings. (Sums of floats
depend on the number of threads, so equal to the last bit is what has the same `cpus`.)
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing import connection, get_context, parent_process
from multiprocessing.context import SpawnProcess
from pathlib import Path
from threading import Thread

import torch

from agfnet.config import StudyConfig
from agfnet.study.plan import Run
from agfnet.study.work import attempt, failure, work

Outcome = tuple[Run, str | None]  # what went wrong, None if the run is finished


def execute(runs: Sequence[Run], config: StudyConfig) -> Iterator[Outcome]:
    """Do runs as the settings say; each comes back when it is done or has failed."""
    if config.executor == "ray":
        from agfnet.study.cluster import on_ray

        return on_ray(runs, config)
    if config.workers > 1:
        return in_processes(runs, config)
    return one_by_one(runs, config)


def one_by_one(runs: Sequence[Run], config: StudyConfig) -> Iterator[Outcome]:
    """In this process."""
    before = torch.get_num_threads()
    try:
        for run in runs:
            torch.set_num_threads(config.cpus or before)
            yield run, attempt(run)
    finally:
        torch.set_num_threads(before)


def in_processes(runs: Sequence[Run], config: StudyConfig) -> Iterator[Outcome]:
    """In processes of this machine, a new one for each run: what one does cannot hurt the others.

    Closing the iterator ends them; the runs go on from their last epoch another time.
    """
    cpus = config.cpus or max(1, (os.cpu_count() or 1) // config.workers)
    waiting = deque(runs)
    working: dict[int, tuple[SpawnProcess, Run]] = {}
    try:
        while waiting or working:
            while waiting and len(working) < config.workers:
                run = waiting.popleft()
                process = get_context("spawn").Process(
                    target=_alone, args=(run, cpus, str(Path.cwd())), name=run.name
                )
                process.start()
                working[process.sentinel] = process, run
            for sentinel in connection.wait(list(working)):
                assert isinstance(sentinel, int)
                process, run = working.pop(sentinel)
                process.join()
                yield run, failure(run)
    finally:
        for process, _ in working.values():
            process.kill()
            process.join()


def _alone(run: Run, cpus: int, folder: str) -> None:
    """In a process of its own: Ctrl-C is for the parent, which then ends this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    work(run, cpus, folder)


def _end_with_parent() -> None:
    """A parent that was killed holds no lock any more: nobody else may do its runs beside it."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)
