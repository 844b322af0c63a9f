"""Problems of a user's file, gathered so that it is mended in one go."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from dataclasses import dataclass

from agfnet.errors import DataError

StrPath = str | os.PathLike[str]

SHOWN = 20


@dataclass(frozen=True)
class Problem:
    """One problem: what was wrong, what was expected, how to mend it."""

    message: str
    row: int | None
    column: str | None
    kind: str
    """A kind of `agfnet.check.findings`; empty where that command never meets it."""


class Problems:
    """A list of problems of one file, raised together as one `DataError`.

    Each becomes a line `FILE:ROW column COLUMN: message`.

    Args:
        path: the file.
        most: how many to keep; the rest is counted. None keeps all.
    """

    def __init__(self, path: StrPath, *, most: int | None = SHOWN) -> None:
        self.path = os.fspath(path)
        self.found: list[Problem] = []
        self._most = most
        self._more = 0

    def add(
        self, message: str, *, row: int | None = None, column: str | None = None, kind: str = ""
    ) -> None:
        """Note one problem."""
        if len(self.found) == self._most:
            self._more += 1
        else:
            self.found.append(Problem(message, row, column, kind))

    def stop(self, message: str, *, row: int | None = None) -> DataError:
        """The error to raise when nothing more can be read: earlier problems and this one."""
        self.add(message, row=row)
        return self._error()

    def check(self) -> None:
        """Raise all problems as one `DataError`, if there are any."""
        if self.found:
            raise self._error()

    def _error(self) -> DataError:
        more = [f"… and {self._more} more"] if self._more else []
        return DataError("\n".join([*map(self._line, self.found), *more]))

    def _line(self, problem: Problem) -> str:
        row = "" if problem.row is None else f":{problem.row}"
        column = "" if problem.column is None else f" column {problem.column}"
        return f"{self.path}{row}{column}: {problem.message}"


def near(name: str, known: Iterable[str]) -> str:
    """A hint that ends a message: the known names most like `name`, or all if they are few."""
    by_key = {option.casefold(): option for option in known}
    matches = difflib.get_close_matches(name.casefold(), by_key, n=3, cutoff=0.6)
    if matches:
        return "did you mean " + " or ".join(repr(by_key[match]) for match in matches) + "?"
    names = [repr(option) for option in sorted(by_key.values())]
    return "there are " + (", ".join(names[:12] + ["…"] * (len(names) > 12)) or "none")
