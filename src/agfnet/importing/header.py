"""The header of a spreadsheet, which may be below a title, on one of several sheets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agfnet.data.extra_rows import are_units, is_comment
from agfnet.data.problems import Problems, listed_words, near
from agfnet.data.rows import split_problem
from agfnet.data.spelling import is_damaged
from agfnet.errors import ConfigError, DataError
from agfnet.importing.header_lines import SECOND_LINE, gaps, joined, score, unique
from agfnet.importing.sheets import Sheet

HEADER_WITHIN = 30
"""Rows in which the header is looked for."""
SHEET = "Sheet"
"""Column that is made where sheets with the same columns are joined."""


NumberedRow = tuple[int, tuple[str, ...]]


@dataclass(frozen=True)
class Table:
    """A sheet with its header."""

    sheet: str
    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]
    """Number of each row in the file, and its cells by column."""
    header: int
    """Number of the last line of the header."""
    notes: tuple[str, ...] = ()
    source: Path = Path()
    """The file, for messages."""
    sheets: tuple[str, ...] = ()
    """Names of the sheets that are joined, if several are."""
    head: tuple[str, ...] = ()
    """The cells of the header, of both lines together if it has two."""

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
    value, best = max(tables, key=lambda pair: pair[0])
    source = next(sheet for sheet in sheets if sheet.name == best.sheet)
    _check_turned(path, source, value, known)
    _check_rows(path, source, best)
    alike = [table for _, table in tables if set(table.columns) == set(best.columns)]
    table = replace(_join(alike) if len(alike) > 1 else best, source=path)
    if missing := [column for column in known if column not in table.columns]:
        raise ConfigError(
            f"columns: {path} has no column {missing[0]!r}; {near(missing[0], table.columns)}"
        )
    return table


def _check_turned(path: Path, sheet: Sheet, value: float, known: Sequence[str]) -> None:
    """Raise an error if the first cells of the rows are a better header than any row."""
    names = [cells[0] for _, cells in sheet.rows[:HEADER_WITHIN]]
    if score(names, known) > max(value, 1.5):
        shown = ", ".join(map(repr, filter(None, names[:3])))
        raise DataError(
            f"{path}: the names of the columns are below each other in the first column ({shown}); "
            "exchange rows and columns (in Excel: Paste Special, Transpose)"
        )


def _check_rows(path: Path, sheet: Sheet, table: Table) -> None:
    """Raise an error about a second header with another order, and about shifted cells."""
    problems = Problems(path)
    head = table.head
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
        for height, cells in ((1, list(sheet.rows[number][1])), (2, joined(sheet, number))):
            if cells:
                value = score(cells, known) - gaps(cells, sheet, number + height)
                options.append((value - SECOND_LINE * (height - 1), -number, height, cells))
    best, start, height, cells = max(options, key=lambda option: option[:2])
    lines = [line for line, _ in sheet.rows[-start : height - start]]
    notes = [sheet.note] if sheet.note else []
    if height == 2:
        notes.append(f"the header has two lines, rows {lines[0]} and {lines[1]}, which are joined")
    if start:
        notes.append(f"{-start} rows above the header are not read")
    data, extra = _without_extra_rows(sheet.rows[height - start :])
    names = unique(cells)
    rows = []
    for line, row in data:
        padded = [*row, *[""] * (len(names) - len(row))]
        named = {name: cell for name, cell in zip(names, padded, strict=False) if name}
        if any(named.values()) and padded[: len(cells)] != cells:
            rows.append((line, named))
    columns = tuple(filter(None, names))
    read = {line for line, _ in rows}
    notes += _notes_of_columns(names, [row for row in data if row[0] in read]) + extra
    return best, Table(sheet.name, columns, tuple(rows), lines[-1], tuple(notes), head=tuple(cells))


def _without_extra_rows(rows: Sequence[NumberedRow]) -> tuple[list[NumberedRow], list[str]]:
    """Return the rows below a header without comments and units, and notes about these."""
    notes, kept = [], list(rows)
    if rows and are_units(rows[0][1]):
        line, cells = kept.pop(0)
        units = listed_words(list(dict.fromkeys(filter(None, cells))))
        notes.append(f"row {line} below the header holds units ({units}), and is left out")
    if comments := [str(line) for line, cells in kept if is_comment(cells)]:
        notes.append(f"comments, left out: rows {listed_words(comments)}")
    kept = [row for row in kept if not is_comment(row[1])]
    marked = [str(line) for line, cells in kept if cells[0].startswith("#")]
    if 0 < 2 * len(marked) < len(kept):
        notes.append(
            f"rows that begin with '#', as rows that are commented out do, are read as lesions: "
            f"{listed_words(marked)}; delete these rows, or the sign"
        )
    return kept, notes


def _notes_of_columns(names: Sequence[str], rows: Sequence[NumberedRow]) -> list[str]:
    """Return notes about columns without a name, and names with damaged letters."""
    notes, width = [], len(names)
    nameless = [
        f"row {line} ({cell})"
        for line, row in rows
        for n, cell in enumerate(row)
        if cell and (n >= width or not names[n])
    ]
    if nameless:
        notes.append(
            f"text in columns without a name, left out: {listed_words(nameless)}; name the columns"
        )
    if damaged := [repr(name) for name in names if name and is_damaged(name)]:
        notes.append(
            f"names of columns with damaged letters: {listed_words(damaged)}, which are not "
            "understood; export the table again as CSV UTF-8 or XLSX, or name them (--columns)"
        )
    return notes
