"""Problems of a user's file, gathered so that it is mended in one go."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable

from agfnet.errors import DataError

StrPath = str | os.PathLike[str]

SHOWN = 20


class Problems:
    """A list of problems of one file, raised together as one `DataError`.

    Each becomes a line `FILE:ROW column COLUMN: message`; after `SHOWN` lines the rest is counted.
    """

    def __init__(self, path: StrPath) -> None:
        self.path = os.fspath(path)
        self._lines: list[str] = []
        self._more = 0

    def add(self, message: str, *, row: int | None = None, column: str | None = None) -> None:
        """Note one problem: what was wrong, what was expected, how to mend it."""
        if len(self._lines) == SHOWN:
            self._more += 1
            return
        where = self.path
        if row is not None:
            where += f":{row}"
        if column is not None:
            where += f" column {column}"
        self._lines.append(f"{where}: {message}")

    def stop(self, message: str, *, row: int | None = None) -> DataError:
        """The error to raise when nothing more can be read: earlier problems and this one."""
        self.add(message, row=row)
        return self._error()

    def check(self) -> None:
        """Raise all problems as one `DataError`, if there are any."""
        if self._lines:
            raise self._error()

    def _error(self) -> DataError:
        more = [f"… and {self._more} more"] if self._more else []
        return DataError("\n".join(self._lines + more))


def near(name: str, known: Iterable[str]) -> str:
    """A hint that ends a message: the known names most like `name`, or all if they are few."""
    by_key = {option.casefold(): option for option in known}
    matches = difflib.get_close_matches(name.casefold(), by_key, n=3, cutoff=0.6)
    if matches:
        return "did you mean " + " or ".join(repr(by_key[match]) for match in matches) + "?"
    names = [repr(option) for option in sorted(by_key.values())]
    return "there are " + (", ".join(names[:12] + ["…"] * (len(names) > 12)) or "none")
