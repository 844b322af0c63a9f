"""Lock files, so that no two processes work on the same run."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread

from filelock import SoftFileLock, Timeout

from agfnet.config import format_duration
from agfnet.errors import RunError

WAIT = 0.5  # seconds; enough to acquire the lock of a process that was killed
PULSE = 30.0  # seconds between two signs of life


@contextmanager
def locked(
    files: Iterable[Path], *, wait: float = WAIT, force: bool = False, cure: str
) -> Iterator[None]:
    """Hold lock files, and renew their time of change while they are held.

    A lock whose process has ended on this machine is taken over.

    Args:
        files: The lock files.
        wait: Seconds to wait for each; below 0, without limit.
        force: Take over locks of other processes, too.
        cure: How to take over the lock of a machine that no longer exists, for the error.

    Raises:
        RunError: Another process holds one.
    """
    with ExitStack() as held:
        held_files = []
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            if force:
                file.unlink(missing_ok=True)
            lock = SoftFileLock(file)
            try:
                held.enter_context(lock.acquire(timeout=wait, poll_interval=0.02))
            except Timeout as error:
                raise RunError(f"{_conflict(file)}, {cure}") from error
            held_files.append(file)
        ended = Event()
        Thread(target=_renew, args=(held_files, ended), daemon=True).start()
        try:
            yield
        finally:
            ended.set()


def _renew(files: Sequence[Path], ended: Event) -> None:
    while not ended.wait(PULSE):
        for file in files:
            with contextlib.suppress(OSError):  # removed, or the network is down for a while
                os.utime(file)


def _conflict(file: Path) -> str:
    try:
        process, machine, *_ = file.read_text(encoding="utf-8").splitlines()
        age = format_duration(max(0.0, time.time() - file.stat().st_mtime))
    except (OSError, ValueError):
        process = machine = age = "unknown"
    return (
        f"{file}: process {process} on {machine} is at work here (last sign of life {age} ago);"
        " wait for it or stop it. If that machine no longer exists"
    )
