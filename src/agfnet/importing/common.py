"""Shared by the importers: reading official files, writing the table, reporting."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
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


def find_file(folder: Path, name: str) -> Path | None:
    """Return a file of a folder with content; its name may differ by case or Unicode form.

    Links are followed; one that leads nowhere is no file.
    """
    path = folder / name
    if not path.is_file():
        entry = _names(path.parent).get(unicodedata.normalize("NFC", path.name).casefold())
        path = path.parent / entry if entry else path
    return path if path.is_file() and path.stat().st_size else None


@lru_cache(maxsize=1 << 14)
def _names(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        return {}
    names = (path.name for path in folder.iterdir())
    return {unicodedata.normalize("NFC", name).casefold(): name for name in names}


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
