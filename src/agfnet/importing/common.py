"""Shared by the importers: reading official files, writing the table, reporting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agfnet.data.problems import Problems
from agfnet.data.rows import Row, read_rows
from agfnet.data.table import Case, write_cases


@dataclass(frozen=True)
class ImportReport:
    """Result of an importer."""

    table: Path
    modalities: tuple[str, ...]
    cases: int
    labels: dict[str, int]
    """Cases per label; empty for a part without ground truth."""
    notes: tuple[str, ...]
    """Remarks for the user about this data set."""


def read_official(path: Path, *columns: str) -> tuple[Iterator[Row], Problems]:
    """The rows of a published CSV file, which must have these columns.

    Raises:
        DataError: the file is missing, not CSV, or lacks a column.
    """
    problems = Problems(path)
    rows = read_rows(path, problems)
    for name in columns:
        if name not in rows.columns:
            problems.add("there is no such column; use the official file", row=1, column=name)
    problems.check()
    return rows.rows, problems


def write_report(
    cases: Sequence[Case], out: Path, *, modalities: Sequence[str], notes: Sequence[str]
) -> ImportReport:
    """Write `cases.csv` into a folder.

    Raises:
        DataError: it exists already, or there are no cases.
    """
    table = out / "cases.csv"
    write_cases(cases, table, modalities=modalities)
    labels = Counter(case.label for case in cases if case.label)
    return ImportReport(
        table, tuple(modalities), len(cases), dict(sorted(labels.items())), tuple(notes)
    )
