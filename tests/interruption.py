"""A process that ends before any chosen change of a file, as by a power cut.

    for interrupt in interruptions(folder):
        ...prepare the folder...
        with interrupt:
            ...change files...
        ...check that the work can be finished...

The loop ends after the first turn in which the work was not interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "shutil.rmtree"}


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
        path = arguments[0] if arguments else None
        writes = event == "open" and isinstance(arguments[1], str) and set("wxa+") & {*arguments[1]}
        if not (event in CHANGES or writes) or not isinstance(path, str | Path):
            return
        if self.folder in (Path(path).absolute(), *Path(path).absolute().parents):
            self.changes += 1
            if self.happened:
                raise KeyboardInterrupt


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if Interruption.current is not None:
        Interruption.current.count(event, arguments)


sys.addaudithook(_watch)  # cannot be removed, and costs nothing while there is no interruption


def interruptions(folder: Path, most: int = 100) -> Iterator[Interruption]:
    """Yield interruptions before the first change, the second, and so on, until none happens."""
    for number in range(1, most + 1):
        interruption = Interruption(folder, number)
        yield interruption
        if not interruption.happened:
            assert number > 1, "no change of a file was seen"
            return
    raise AssertionError(f"more than {most} changes")
