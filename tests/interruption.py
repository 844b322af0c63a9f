"""A process that ends before any chosen change of a file, as by a power cut.

`bench/stops.py` kills real processes, at random changes.

    for interrupt in interruptions(folder):
        ...prepare the folder...
        with interrupt:
            ...change files...
        ...check that the work can be finished...

The loop ends after the first turn in which the work was not interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

CHANGES = {"rename", "remove", "rmdir", "mkdir", "truncate", "link"}
CHANGES = {f"os.{name}" for name in CHANGES} | {"shutil.rmtree"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def is_change(event: str, arguments: tuple[object, ...], folder: Path) -> bool:
    """Return whether an audit event is a change of a file in a folder."""
    writes = event == "open" and int(str(arguments[2] or 0)) & WRITING
    path = arguments[0] if event in CHANGES or writes else None
    return isinstance(path, str | Path) and Path(path).absolute().is_relative_to(folder)


class Interruption:
    """Raises KeyboardInterrupt at the n-th change of a file below a folder, and at all later ones.

    A dead process changes no file, so that clean-up code has no effect either.
    """

    current: Interruption | None = None

    def __init__(self, folder: Path, number: int) -> None:
        self.folder, self.number = folder.resolve(), number
        self.changes = 0

    @property
    def happened(self) -> bool:
        """Whether the process was interrupted."""
        return self.changes >= self.number

    def __enter__(self) -> Interruption:
        Interruption.current = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> bool:
        Interruption.current = None
        return isinstance(error, KeyboardInterrupt) and self.happened

    def count(self, event: str, arguments: tuple[object, ...]) -> None:
        """Count an event, if it is a change of a file in the folder."""
        if is_change(event, arguments, self.folder):
            self.changes += 1
            if self.happened:
                raise KeyboardInterrupt


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if Interruption.current is not None:
        Interruption.current.count(event, arguments)


sys.addaudithook(_watch)  # cannot be removed, and costs nothing while there is no interruption


def interruptions(folder: Path, most: int = 100, step: int = 1) -> Iterator[Interruption]:
    """Yield interruptions before every `step`-th change, from the first on, until none happens."""
    for number in range(1, most + 1, step):
        interruption = Interruption(folder, number)
        yield interruption
        if not interruption.happened:
            assert number > 1, "no change of a file was seen"
            return
    raise AssertionError(f"more than {most} changes")
