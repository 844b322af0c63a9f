"""Problems of a user's file, collected so that all of them can be fixed at once."""

from __future__ import annotations

import difflib
import logging
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agfnet.errors import DataError

StrPath = str | os.PathLike[str]

MAX_SHOWN = 20
"""Problems that one error lists; the rest is counted."""


@dataclass(frozen=True)
class Problem:
    """One problem: what is wrong, what was expected and how to fix it."""

    message: str
    row: int | None
    column: str | None
    finding: str
    """Its name in `agfnet.check.findings`; empty where `agfnet check` never meets it."""


class Problems:
    """The problems of one file, raised together as one `DataError`.

    Each becomes a line `FILE:ROW column COLUMN: message`.

    Args:
        path: the file.
        maximum: number of problems to keep; the rest is counted. None keeps all.
    """

    def __init__(self, path: StrPath, *, maximum: int | None = MAX_SHOWN) -> None:
        self.path = os.fspath(path)
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []
        """Cells that were read in another way than they are written. They raise nothing."""
        self._maximum = maximum
        self._omitted = 0

    def add(
        self, message: str, *, row: int | None = None, column: str | None = None, finding: str = ""
    ) -> None:
        """Add a problem."""
        if len(self.problems) == self._maximum:
            self._omitted += 1
        else:
            self.problems.append(Problem(message, row, column, finding))

    def note(self, message: str, *, row: int | None, column: str | None, finding: str) -> None:
        """Add a note."""
        self.notes.append(Problem(message, row, column, finding))

    def stop(self, message: str, *, row: int | None = None) -> DataError:
        """Return the error to raise when the file cannot be read further."""
        self.add(message, row=row)
        return self._error()

    def check(self) -> None:
        """Raise all problems as one `DataError`, if there are any."""
        if self.problems:
            raise self._error()

    def log_notes(self) -> None:
        """Log the first note of each finding, with the number of the others."""
        groups: defaultdict[str, list[Problem]] = defaultdict(list)
        for note in self.notes:
            groups[note.finding].append(note)
        for notes in groups.values():
            others = f" (and {len(notes) - 1} more: see agfnet check)" * (len(notes) > 1)
            logging.getLogger(__name__).warning("%s%s", self._line(notes[0]), others)

    def _error(self) -> DataError:
        others = [f"… and {self._omitted} more"] if self._omitted else []
        return DataError("\n".join([*map(self._line, self.problems), *others]))

    def _line(self, problem: Problem) -> str:
        row = "" if problem.row is None else f":{problem.row}"
        column = "" if problem.column is None else f" column {problem.column}"
        return f"{self.path}{row}{column}: {problem.message}"


def listed_words(texts: Sequence[str]) -> str:
    """Return the first texts of a list, separated by commas."""
    return ", ".join(texts[:MAX_SHOWN]) + ", …" * (len(texts) > MAX_SHOWN)


def near(name: str, known: Iterable[str]) -> str:
    """Return the end of a message: the known names most like `name`, or all if they are few."""
    by_key = {option.casefold(): option for option in known}
    matches = difflib.get_close_matches(name.casefold(), by_key, n=3, cutoff=0.6)
    if matches:
        return "did you mean " + " or ".join(repr(by_key[match]) for match in matches) + "?"
    names = [repr(option) for option in sorted(by_key.values())]
    return "there are " + (", ".join(names[:12] + ["…"] * (len(names) > 12)) or "none")
