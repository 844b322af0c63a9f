"""Execute runs on this machine: in this process, or in several."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection, get_context, parent_process
from multiprocessing.context import SpawnProcess
from pathlib import Path
from threading import Thread

import torch

from agfnet.config import StudyConfig
from agfnet.errors import StoppedError
from agfnet.parallel import threads_each
from agfnet.study.executors.job import attempt, attempt_in_process, failure
from agfnet.study.plan import Run

VISIBLE = "CUDA_VISIBLE_DEVICES"


def one_by_one(runs: Iterable[Run], config: StudyConfig) -> Iterator[tuple[Run, str | None]]:
    """Execute runs in this process."""
    threads = torch.get_num_threads()
    try:
        for run in runs:
            torch.set_num_threads(config.cpus or threads)
            yield run, attempt(run)
    finally:
        torch.set_num_threads(threads)


def in_processes(runs: Iterable[Run], config: StudyConfig) -> Iterator[tuple[Run, str | None]]:
    """Execute each run in a new process, so that a crash cannot harm the other runs.

    With several GPUs, a run sees one of them only: the one that the fewest other runs use.

    Closing the iterator ends the processes; the next study continues their runs from their last
    checkpoint.
    """
    cpus = config.cpus or threads_each(config.workers)
    waiting = iter(runs)
    working: dict[int, tuple[SpawnProcess, Run, str | None]] = {}
    gpus = visible_gpus()
    try:
        while True:
            while len(working) < config.workers and (run := next(waiting, None)) is not None:
                process = get_context("spawn").Process(
                    target=_run_in_child, args=(run, cpus, str(Path.cwd())), name=run.name
                )
                gpu = least_used(gpus, [used for *_, used in working.values()])
                with _only_gpu(gpu):  # CUDA reads the variable once, so it is set before the start
                    process.start()
                working[process.sentinel] = process, run, gpu
            if not working:
                return
            for sentinel in connection.wait(list(working)):
                assert isinstance(sentinel, int)
                process, run, _ = working.pop(sentinel)
                process.join()
                yield run, failure(run)
    finally:
        for process, *_ in working.values():
            process.kill()
            process.join()


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, named as `CUDA_VISIBLE_DEVICES` does."""
    count = torch.cuda.device_count()
    named = os.environ.get(VISIBLE)
    return named.split(",")[:count] if named else [str(gpu) for gpu in range(count)]


def least_used(gpus: Sequence[str], used: Sequence[str | None]) -> str | None:
    """Return the first of the GPUs that the fewest runs use; None without a GPU."""
    return min(gpus, key=used.count, default=None)


@contextmanager
def _only_gpu(gpu: str | None) -> Iterator[None]:
    """Let processes that start meanwhile see one GPU only; change nothing without a GPU."""
    before = os.environ.get(VISIBLE)
    if gpu is not None:
        os.environ[VISIBLE] = gpu
    try:
        yield
    finally:
        if gpu is not None:
            os.environ.pop(VISIBLE)
            if before is not None:
                os.environ[VISIBLE] = before


def _run_in_child(run: Run, cpus: int, folder: str) -> None:
    """Ignore Ctrl-C, which is for the parent: it then ends this process.

    The signals of a scheduler reach this process as well, whose run then has a checkpoint.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    with suppress(StoppedError):
        attempt_in_process(run, cpus, folder)


def _end_with_parent() -> None:
    """End with the parent: without it nothing holds the lock, and another study may run this."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)
