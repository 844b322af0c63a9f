"""No run is done twice at the same time: a lock file per run, with the process that holds it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import SoftFileLock, Timeout

from agfnet.errors import RunError

WAIT = 0.5  # seconds; enough to take over the lock of a process that was killed


@contextmanager
def locked(folder: Path, names: Iterable[str], *, wait: float = WAIT) -> Iterator[None]:
    """Hold the locks of these names; a lock whose process is dead (on this machine) is taken over.

    Args:
        folder: where the lock files are.
        names: one file each.
        wait: seconds to wait for each; below 0, as long as it takes.

    Raises:
        RunError: another process holds one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        for name in names:
            lock = SoftFileLock(folder / f"{name}.lock")
            try:
                held.enter_context(lock.acquire(timeout=wait, poll_interval=0.02))
            except Timeout as error:
                raise RunError(_taken(folder / f"{name}.lock")) from error
        yield


def _taken(path: Path) -> str:
    try:
        process, machine, *_ = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        process, machine = "unknown", "unknown"
    return (
        f"{path}: another study is at work here (process {process} on {machine}); wait for it or "
        f"stop it. If it is gone with its machine, delete {path.parent}"
    )
