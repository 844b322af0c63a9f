"""Properties of the cells of a workbook that its reader omits: hidden, merged, without a result."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from struct import unpack
from xml.etree import ElementTree
from zipfile import ZipFile, is_zipfile

from agfnet.errors import DataError

Range = tuple[tuple[int, int], tuple[int, int]]
"""Row and column of the first cell and of the last one, from 0."""
_FORMULA = re.compile(rb'<c r="([A-Z]+\d+)"[^>]*>\s*<f\b(?:(?!</c>).)*</c>', re.DOTALL)
_RESULT = re.compile(rb"<v[^>/]*>[^<]")
_HIDDEN_ROW = re.compile(
    rb"<row\b[^>]*\bhidden=[\"'](?:1|true)|<table:table-row\b[^>]*visibility=\"(?:collapse|filter)"
)
_HIDDEN_COLUMN = re.compile(
    rb"<col\b[^>]*\bhidden=[\"'](?:1|true)|<table:table-column\b[^>]*visibility=\"(?:collapse|filter)"
)
_OLD_ROW = re.compile(rb"\x08\x02\x10\x00(.{16})", re.DOTALL)
_OLD_COLUMN = re.compile(rb"\x7d\x00\x0c\x00(.{12})", re.DOTALL)
"""Records of a workbook of Excel 97, wherever they are in the file."""
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"


def sheet_parts(path: Path) -> bytes:
    """Return the XML of all sheets of an XLSX or ODS file; an XLS file as it is."""
    if not is_zipfile(path):
        return path.read_bytes()
    with ZipFile(path) as book:
        pattern = r"xl/worksheets/.*\.xml|content\.xml"
        names = [name for name in book.namelist() if re.fullmatch(pattern, name)]
        return b"".join(map(book.read, names))


def check_formulas(path: Path, parts: bytes) -> None:
    """Raise DataError if cells have formulas without their results, which are read as empty."""
    cells = [
        cell[1].decode()
        for cell in _FORMULA.finditer(parts)
        if b't="str"' not in cell[0] and not _RESULT.search(cell[0])
    ]
    if cells:
        shown = ", ".join(cells[:3]) + ", …" * (len(cells) > 3)
        raise DataError(
            f"{path}: {len(cells)} cells have formulas without their results ({shown}), as some "
            "programs write them; open it in a spreadsheet program, save it, and import it again"
        )


def hidden_cells(parts: bytes) -> str:
    """Return a line about hidden rows and columns, which are read as the others; or nothing."""
    rows, columns = len(_HIDDEN_ROW.findall(parts)), len(_HIDDEN_COLUMN.findall(parts))
    if parts.startswith(b"\xd0\xcf"):
        rows, columns = sum(_old_rows(parts)), sum(_old_columns(parts))
    counts = ((rows, "rows"), (columns, "groups of columns"))
    hidden = " and ".join(f"{count} hidden {what}" for count, what in counts if count)
    return f"{hidden} are read as the others; delete those that do not count" if hidden else ""


def _old_rows(content: bytes) -> Iterator[bool]:
    """Yield whether each row of a workbook of Excel 97 is hidden, or has the height 0."""
    for record in _OLD_ROW.finditer(content):
        _, first, end, _, _, _, flags, _ = unpack("<8H", record[1])
        if first <= end <= 256:
            yield bool(flags & 0x20)


def _old_columns(content: bytes) -> Iterator[bool]:
    """Yield whether each group of columns of a workbook of Excel 97 is hidden."""
    for record in _OLD_COLUMN.finditer(content):
        first, last, _, _, flags, _ = unpack("<6H", record[1])
        if first <= last <= 256:
            yield bool(flags & 1)


def merged_cells(parts: bytes) -> dict[str, list[Range]]:
    """Return the merged cells of an ODS file by sheet; nothing for other workbooks.

    Their reader knows those of XLSX and XLS.
    """
    if b"<table:table " not in parts:
        return {}
    tables = ElementTree.fromstring(parts).iter(f"{_TABLE}table")
    return {table.get(f"{_TABLE}name", ""): list(_merged(table)) for table in tables}


def _merged(table: ElementTree.Element) -> Iterator[Range]:
    def number(element: ElementTree.Element, name: str) -> int:
        return int(element.get(f"{_TABLE}number-{name}", 1))

    line = 0
    for row in table.iter(f"{_TABLE}table-row"):
        column = 0
        for cell in row:
            height, width = number(cell, "rows-spanned"), number(cell, "columns-spanned")
            if height > 1 or width > 1:
                yield (line, column), (line + height - 1, column + width - 1)
            column += number(cell, "columns-repeated")
        line += number(row, "rows-repeated")
