"""Lock files, one per run, so that no two processes do the same run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import SoftFileLock, Timeout

from agfnet.errors import RunError

WAIT = 0.5  # seconds; enough to acquire the lock of a process that was killed


@contextmanager
def locked(folder: Path, names: Iterable[str], *, wait: float = WAIT) -> Iterator[None]:
    """Hold the locks of these names.

    A lock whose process has ended on this machine is taken over.

    Args:
        folder: Folder of the lock files.
        names: One lock file each.
        wait: Seconds to wait for each; below 0, without limit.

    Raises:
        RunError: Another process holds one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        for name in names:
            lock = SoftFileLock(folder / f"{name}.lock")
            try:
                held.enter_context(lock.acquire(timeout=wait, poll_interval=0.02))
            except Timeout as error:
                raise RunError(_conflict(folder / f"{name}.lock")) from error
        yield


def _conflict(path: Path) -> str:
    try:
        process, machine, *_ = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        process, machine = "unknown", "unknown"
    return (
        f"{path}: another study is at work here (process {process} on {machine}); wait for it or "
        f"stop it. If that machine no longer exists, delete {path.parent}"
    )
