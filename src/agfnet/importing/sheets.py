"""Spreadsheets as rows of text: CSV in the usual encodings, and workbooks (XLSX, XLS, ODS)."""

from __future__ import annotations

import csv
import datetime
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from agfnet.data.file_types import PAGE, WORKBOOK, ZIP, cure_of_table, name_of_type
from agfnet.data.rows import SEPARATOR_LINE, without_formula
from agfnet.data.spelling import INVISIBLE, PRECISION
from agfnet.data.text_check import is_encrypted
from agfnet.errors import DataError
from agfnet.importing.encodings import decode
from agfnet.importing.workbook_cells import (
    Range,
    check_formulas,
    hidden_cells,
    merged_cells,
    sheet_parts,
)

_INVISIBLE = dict.fromkeys(map(ord, INVISIBLE))


@dataclass(frozen=True)
class Sheet:
    """One sheet: its rows that are not blank, each with its number in the file, from 1."""

    name: str
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    note: str = ""
    """Encoding and separator, or hidden rows and columns."""
    hidden: bool = False
    delimiter: str = ""
    """Separator of a text file, in which one too many shifts the cells of a row; else empty."""


def read_sheets(path: Path) -> list[Sheet]:
    """Read all sheets of a spreadsheet that have rows; a CSV file is one sheet.

    Raises:
        DataError: the file is missing, empty or damaged, or no spreadsheet.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    name = name_of_type(content)
    if name == WORKBOOK and is_encrypted(content):
        raise DataError(f"{path}: has a password; save a copy without it")
    if name not in ("", ZIP, WORKBOOK, PAGE):
        raise DataError(f"{path}: is {name}, not a spreadsheet; {cure_of_table(name)}")
    sheets = _workbook(path) if name in (ZIP, WORKBOOK) else [_text(path, content)]
    sheets = [sheet for sheet in sheets if sheet.rows]
    if not sheets:
        raise DataError(f"{path}: is empty; expected a header and rows")
    return sheets


def _workbook(path: Path) -> list[Sheet]:
    try:
        import python_calamine as calamine
    except ModuleNotFoundError:
        raise DataError(
            f"{path}: is a workbook; run `pip install 'agfnet[spreadsheets]'`, or save it as CSV"
        ) from None
    try:
        book = calamine.CalamineWorkbook.from_path(str(path))
        hidden = {
            sheet.name
            for sheet in book.sheets_metadata
            if sheet.visible != calamine.SheetVisibleEnum.Visible
        }
        parts = sheet_parts(path)
        check_formulas(path, parts)
        note, merged = hidden_cells(parts), merged_cells(parts)
        return [
            _sheet(book.get_sheet_by_name(name), merged.get(name), note, hidden=name in hidden)
            for name in book.sheet_names
        ]
    except calamine.PasswordError:
        raise DataError(f"{path}: has a password; save a copy without it") from None
    except (calamine.CalamineError, OSError) as error:
        raise DataError(f"{path}: is not a readable workbook ({error}); save it as CSV") from None


def _sheet(sheet: Any, merged: Sequence[Range] | None, note: str, *, hidden: bool) -> Sheet:
    cells = [list(map(_cell, row)) for row in sheet.to_python(skip_empty_area=False)]
    for (top, first), (bottom, last) in merged or sheet.merged_cell_ranges or ():
        if top >= len(cells) or first >= len(cells[top]):
            continue  # beyond all text
        for row in cells[top : bottom + 1]:
            row[first : last + 1] = [cells[top][first]] * (min(last + 1, len(row)) - first)
    rows = tuple((number, tuple(row)) for number, row in enumerate(cells, 1) if any(row))
    return Sheet(sheet.name, rows, note, hidden)


def _cell(value: Any) -> str:
    if isinstance(value, float) and abs(value) >= 10**PRECISION:
        return f"{value:.{PRECISION - 1}E}"  # its last digits are lost: shown as a rounded number
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, datetime.datetime):
        return str(value) if value.time() != datetime.time() else str(value.date())
    return _clean(str(value))


def _clean(text: str) -> str:
    if not text:
        return ""
    return without_formula(" ".join(text.translate(_INVISIBLE).split(" ")).strip())


def _text(path: Path, content: bytes) -> Sheet:
    text, encoding = decode(content, str(path))
    if not text.strip():
        return Sheet(path.name, ())
    if text.lstrip()[:1] == "<":
        raise DataError(
            f"{path}: is a web page (HTML or XML), not CSV; if a spreadsheet program opens it as a "
            "table, save it there as XLSX, else download the table again"
        )
    first, _, others = text.lstrip("\r\n").partition("\n")
    if match := SEPARATOR_LINE.fullmatch(first.strip()):
        delimiter, skipped = match[1], 1
        text = others
    else:
        delimiter, skipped = _delimiter(text), 0
    rows: list[tuple[int, tuple[str, ...]]] = []
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter)
    try:
        line = 0
        for cells in reader:
            cleaned = tuple(map(_clean, cells))
            if any(cleaned):
                rows.append((line + 1 + skipped, cleaned))
            line = reader.line_num
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: is not valid CSV: {error}") from None
    shown = {"\t": "tab"}.get(delimiter, repr(delimiter))
    note = f"{encoding}, cells separated by {shown}"
    return Sheet(path.name, tuple(rows), note, delimiter=delimiter)


def _delimiter(text: str) -> str:
    """Return the separator with which most lines have the same number of cells, and several."""
    lines = [line for line in text.splitlines() if line.strip()][:100]

    def score(delimiter: str) -> tuple[float, int]:
        try:
            counts = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter) if row)
        except csv.Error:
            return 0, 0
        if not counts:
            return 0, 0
        cells, rows = max(counts.items(), key=lambda item: (item[0] > 1, item[1], item[0]))
        return (rows / len(lines) if cells > 1 else 0), cells

    # the separators of decimals and of paths in a cell come last among equals, and then those of
    # a Chinese keyboard
    return max(";\t,|\uff1b\uff0c", key=score)
