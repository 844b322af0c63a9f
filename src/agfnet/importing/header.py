"""The header of a spreadsheet, which may be below a title, on one of several sheets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agfnet.data.problems import Problems, listed_words, near
from agfnet.data.rows import split_problem
from agfnet.data.spelling import is_damaged
from agfnet.errors import ConfigError, DataError
from agfnet.importing.column_names import FILE_COLUMN, plain_name, role_of
from agfnet.importing.sheets import Sheet

HEADER_WITHIN = 30
"""Rows in which the header is looked for."""
SHEET = "Sheet"
"""Column that is made where sheets with the same columns are joined."""


@dataclass(frozen=True)
class Table:
    """A sheet with its header."""

    sheet: str
    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]
    """Number of each row in the file, and its cells by column."""
    header: int
    notes: tuple[str, ...] = ()
    source: Path = Path()
    """The file, for messages."""
    sheets: tuple[str, ...] = ()
    """Names of the sheets that are joined, if several are."""

    def values(self, column: str) -> list[str]:
        """Return the cells of a column that are not empty."""
        return [cells[column] for _, cells in self.rows if cells[column]]


def find_table(
    path: Path, sheets: Sequence[Sheet], name: str | None, known: Sequence[str]
) -> Table:
    """Return the sheet with the most columns that are understood, with its header.

    Args:
        path: of the file, for messages.
        sheets: of the file.
        name: of the sheet, or None to look for it.
        known: columns that the user has named.

    Raises:
        DataError: no sheet has that name, or none has a header and rows.
    """
    if name is not None:
        sheets = [sheet for sheet in sheets if sheet.name == name] or _no_sheet(path, name, sheets)
    else:
        sheets = [sheet for sheet in sheets if not sheet.hidden] or sheets
    tables = [(score, table) for score, table in (_header(s, known) for s in sheets) if table.rows]
    if not tables:
        raise DataError(f"{path}: has no rows below its header")
    best = max(tables, key=lambda pair: pair[0])[1]
    _check_rows(path, next(sheet for sheet in sheets if sheet.name == best.sheet), best)
    alike = [table for _, table in tables if set(table.columns) == set(best.columns)]
    table = replace(_join(alike) if len(alike) > 1 else best, source=path)
    if missing := [column for column in known if column not in table.columns]:
        raise ConfigError(
            f"columns: {path} has no column {missing[0]!r}; {near(missing[0], table.columns)}"
        )
    return table


def _check_rows(path: Path, sheet: Sheet, table: Table) -> None:
    """Raise an error about a second header with another order, and about shifted cells."""
    problems = Problems(path)
    head = next(cells for line, cells in sheet.rows if line == table.header)
    for line, cells in sheet.rows:
        texts = [cell for cell in cells if cell]
        if line <= table.header or texts[0].startswith("#"):
            continue
        if len(texts) > 1 and set(texts) <= set(head) and cells[: len(head)] != head:
            problems.add(
                "is another header, with the columns in another order; write each table into a "
                "separate file or sheet, or bring the columns into one order",
                row=line,
            )
        if sheet.delimiter and any(cells[len(head) :]):
            problems.add(
                f"has {len(cells)} cells, and the header {len(head)}; put quotation marks around a "
                "cell with a separator",
                row=line,
            )
        elif sheet.delimiter and (problem := split_problem(cells, len(head), sheet.delimiter)):
            problems.add(problem, row=line)
    problems.check()


def _join(tables: Sequence[Table]) -> Table:
    """Return the rows of sheets with the same columns, and the name of the sheet in a column."""
    rows = tuple(
        (line, {**cells, SHEET: table.sheet}) for table in tables for line, cells in table.rows
    )
    names = ", ".join(repr(table.sheet) for table in tables)
    note = f"the sheets {names} have the same columns and are joined; rows count within a sheet"
    first = tables[0]
    return replace(
        first,
        sheets=tuple(table.sheet for table in tables),
        columns=(*first.columns, SHEET),
        rows=rows,
        notes=(*dict.fromkeys(note for table in tables for note in table.notes), note),
    )


def _no_sheet(path: Path, name: str, sheets: Sequence[Sheet]) -> list[Sheet]:
    raise ConfigError(
        f"sheet: {path} has no sheet {name!r}; {near(name, [sheet.name for sheet in sheets])}"
    )


def _header(sheet: Sheet, known: Sequence[str]) -> tuple[float, Table]:
    """Return the header that names the most known columns: one row, or two that are merged."""
    options: list[tuple[float, int, int, list[str]]] = []
    for number in range(min(HEADER_WITHIN, len(sheet.rows))):
        cells = list(sheet.rows[number][1])
        options.append((_score(cells, known), -number, 1, cells))
        if number + 1 < len(sheet.rows):
            joined = _joined(cells, list(sheet.rows[number + 1][1]))
            options.append((_score(joined, known) - 0.5, -number, 2, joined))
    score, start, height, cells = max(options, key=lambda option: option[:2])
    first = -start
    counts: dict[str, int] = {}
    columns: list[str] = []
    for cell in cells:
        name = " ".join(cell.split())
        counts[name] = counts.get(name, 0) + 1
        columns.append(f"{name} ({counts[name]})" if name and counts[name] > 1 else name)
    rows, nameless = [], []
    for line, row in sheet.rows[first + height :]:
        padded = [*row, *[""] * (len(columns) - len(row))]
        named = {name: cell for name, cell in zip(columns, padded, strict=False) if name}
        if any(named.values()) and tuple(padded[: len(cells)]) != tuple(cells):
            rows.append((line, named))
            others = [
                cell for n, cell in enumerate(row) if cell and not (columns[n : n + 1] or [""])[0]
            ]
            nameless += [f"row {line} ({cell})" for cell in others]
    kept = tuple(name for name in columns if name)
    notes = [sheet.note] if sheet.note else []
    if nameless:
        notes.append(
            f"text in columns without a name, left out: {listed_words(nameless)}; name the columns"
        )
    if damaged := [repr(name) for name in kept if is_damaged(name)]:
        notes.append(
            f"names of columns with damaged letters: {listed_words(damaged)}, which are not "
            "understood; export the table again as CSV UTF-8 or XLSX, or name them (--columns)"
        )
    if height == 2:
        notes.append("the header has two lines, which are joined")
    if first:
        notes.append(f"{first} rows above the header are not read")
    line = sheet.rows[first][0]
    return score, Table(sheet.name, kept, tuple(rows), line, tuple(notes))


def _joined(upper: list[str], lower: list[str]) -> list[str]:
    """Return two header lines as one; a group's title counts for the cells to its right."""
    if sum(map(bool, upper)) < 2 or any(re.search(r"\d", cell) for cell in lower):
        return []
    width = max(len(upper), len(lower))
    upper, lower = [*upper, *[""] * (width - len(upper))], [*lower, *[""] * (width - len(lower))]
    names, title = [], ""
    for above, below in zip(upper, lower, strict=True):
        title = above or (title if below else "")
        names.append(below if below == title else f"{title} {below}".strip())
    return names


def _score(cells: Sequence[str], known: Sequence[str]) -> float:
    """Return the number of different things that a header names."""
    roles = {role_of(cell)[0] for cell in cells} - {""}
    count = len(roles) - 0.6 * ("id" in roles)
    paths = any(FILE_COLUMN.search(plain_name(cell)) for cell in cells)
    text = sum(bool(cell) and not re.fullmatch(r"[\d.,:/ -]+", cell) for cell in cells)
    return 10 * sum(name in cells for name in known) + count + paths + text / 100
