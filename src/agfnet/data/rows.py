"""Rows of text of a CSV file, whichever program wrote it."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from agfnet.data.extra_rows import extra_row
from agfnet.data.problems import Problems, near
from agfnet.data.spelling import INVISIBLE
from agfnet.data.text_check import check_text

HEADER_WITHIN = 30
"""Lines in which the header is looked for, to name it in an error."""
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[,;\t]*', re.IGNORECASE)
"""A first line that names the separator, as spreadsheets write it."""
_TEXT_FORMULA = re.compile(r'="((?:[^"]|"")*)"')
_DIGIT = re.compile(r"\d")
DELIMITERS = ",;\t|"
"""Signs between the cells of a row, as programs write them."""
OTHER_SEPARATORS = ("|", "\uff0c", "\uff1b", "\u3001", ":", " ")
"""Signs that separate the columns of some files, and are not read as separators."""
_END_OF_FILE = "\x1a"
"""The character that programs of DOS write behind the last row."""
_MARGIN = " \t\r\n\u00a0\u3000" + INVISIBLE


@dataclass(frozen=True)
class Row:
    """One row: its first line in the file (the first line is 1) and its cells by column."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True)
class Rows:
    """A header and its rows. Cells have no space around them; blank rows are left out."""

    columns: tuple[str, ...]
    rows: Iterator[Row]
    """Can be read once; the file is read along with it. Rows with text beyond the last column are
    added to the problems and left out, comments and units below the header are noted and left out;
    cells that are missing at the end of a row are empty."""


def read_rows(path: Path, problems: Problems, *, required: Sequence[str] = ()) -> Rows:
    """Read a CSV file: UTF-8 with or without BOM, any line ends, comma, semicolon or tab.

    Memory holds one row, whatever the length of the file. A first line `sep=;`, as spreadsheets
    write it, names the separator.

    Args:
        path: the file.
        problems: where to add problems of rows.
        required: columns that the header must have.

    Raises:
        DataError: the file is missing, a folder, not text, not UTF-8, has no header, lacks a
            column, or repeats one; while reading rows: there are none, or the quoting is broken.
    """
    check_text(path, problems)
    delimiter, separator_line = _delimiter(path)
    lines = _lines(path, delimiter, problems)
    if separator_line:
        next(lines)
    start, header = next(lines, (1, []))
    if not header:
        raise problems.stop("is empty; expected a header and rows")
    if repeated := sorted({name for name in header if name and header.count(name) > 1}):
        names = ", ".join(map(repr, repeated))
        raise problems.stop(f"has the column {names} more than once; keep one of each", row=start)
    _check_columns(path, problems.path, header, start, required)
    columns = tuple(name for name in header if name)
    return Rows(columns=columns, rows=_rows(lines, header, delimiter, problems))


def _check_columns(
    path: Path, name: str, header: Sequence[str], line: int, required: Sequence[str]
) -> None:
    missing = [column for column in required if column not in header]
    if not missing:
        return
    problems = Problems(name)
    below = _line_of_header(path, required)
    for column in missing:
        hint = near(column, filter(None, header))
        if sign := next((s for s in OTHER_SEPARATORS if column in header[0].split(s)[:-1]), ""):
            hint = f"the columns are separated by {sign!r}: separate cells by commas"
        if any(column in header[0].split(sign)[:-1] for sign in ",;\t"):
            hint = "each row is in double quotes as a whole: delete the first and last of each row"
        if below > line:
            hint = f"the header seems to be in row {below}: delete the rows above it"
        problems.add(f"there is no such column; {hint}", row=line, column=column)
    problems.check()


def _line_of_header(path: Path, required: Sequence[str]) -> int:
    """Return the first line with all required columns; 0 if there is none near the beginning."""
    with path.open(encoding="utf-8-sig") as file:
        for number, text in enumerate(islice(file, HEADER_WITHIN), start=1):
            if set(required) <= {_clean(cell).strip('"') for cell in re.split("[,;\t]", text)}:
                return number
    return 0


def _rows(
    lines: Iterator[tuple[int, list[str]]], header: list[str], delimiter: str, problems: Problems
) -> Iterator[Row]:
    nameless = [i for i, name in enumerate(header) if not name]
    below_header, is_empty = True, True
    for line, cells in lines:
        extra, below_header = extra_row(cells, below_header=below_header), False
        if extra:
            note = f"{extra}, and is left out; delete the row if that is right"
            problems.note(note, row=line, column=None, finding="row_extra")
            continue
        is_empty = False
        if cells == header:
            problems.add("repeats the header; delete the row", row=line, finding="cells")
            continue
        if any(cells[len(header) :]):
            problems.add(
                f"has {len(cells)} cells, expected {len(header)} as in the header; "
                f"put cells that contain {delimiter!r} in double quotes",
                row=line,
                finding="cells",
            )
            continue
        if problem := split_problem(cells, len(header), delimiter):
            problems.add(problem, row=line, finding="cells")
            continue
        cells += [""] * (len(header) - len(cells))  # spreadsheets leave out trailing empty cells
        if any(cells[i] for i in nameless):
            problems.add(
                "there is text under a column without a name; name the column in the header "
                "or delete it (pandas: to_csv(index=False))",
                row=line,
                finding="nameless_column",
            )
        named = dict(zip(header, cells, strict=False))
        named.pop("", None)
        yield Row(line, named)
    if is_empty:
        raise problems.stop("has no rows below its header")


def split_problem(cells: Sequence[str], width: int, delimiter: str) -> str:
    """Return what is wrong with the separators or quotation marks of a row; or empty.

    Args:
        cells: of the row.
        width: number of cells of the header.
        delimiter: the separator of the file.
    """
    if len(cells) == 1 < width and any(cells[0].count(sign) == width - 1 for sign in DELIMITERS):
        return (
            f"is one cell, {cells[0]!r}; separate its cells with {delimiter!r} as in the other "
            "rows, and close its double quotes"
        )
    for cell in cells:
        for text in cell.splitlines()[1:]:
            first = text.split(delimiter)[0]
            if text.count(delimiter) == width - 1 and shape(first) == shape(cells[0]) != "":
                return (
                    f"has a cell that holds the next row, {text!r}; look for a double quote that "
                    "is not closed"
                )
    return ""


def shape(text: str) -> str:
    """Return a text with a sign for each of its words and numbers; empty if it has no digit."""
    text = text.strip("\"' ")
    return re.sub(r"[^\W\d]+", "a", re.sub(r"\d+", "0", text)) if _DIGIT.search(text) else ""


def _delimiter(path: Path) -> tuple[str, bool]:
    """Return the separator of cells, and whether the first line does nothing but name it.

    Without such a line, it is the most frequent candidate in the first line with text.
    """
    with path.open(encoding="utf-8-sig") as file:
        first = next((text for line in file if (text := line.lstrip())), "")
    if match := SEPARATOR_LINE.fullmatch(first.rstrip("\r\n ")):
        return match[1], True
    unquoted = re.sub(r'"[^"]*"', "", first)
    return max(",;\t", key=unquoted.count), False


def _lines(path: Path, delimiter: str, problems: Problems) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the line that it begins on."""
    line_num = 0
    # newline="" keeps line ends inside quoted cells as they are
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                cleaned = [_clean(cell) for cell in cells]
                if any(cleaned):
                    yield line_num + 1, cleaned
                line_num = reader.line_num
        except csv.Error as error:
            message = f"is not valid CSV: {error}; look for an unpaired double quote"
            raise problems.stop(message, row=line_num + 1) from None


def _clean(cell: str) -> str:
    """Remove the space around a cell, invisible characters there, and any byte order mark."""
    cell = without_formula(cell.strip().removesuffix(_END_OF_FILE))
    return cell if cell.isascii() else cell.replace("\ufeff", "").strip(_MARGIN)


def without_formula(cell: str) -> str:
    """Return the text of a cell `="0012"`, as spreadsheets keep a text from becoming a number."""
    formula = _TEXT_FORMULA.fullmatch(cell)
    return formula[1].replace('""', '"').strip() if formula else cell
