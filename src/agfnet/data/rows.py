"""A CSV file as checked rows of text, whatever program wrote it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agfnet.data.problems import Problems

MEND = "save it as CSV UTF-8 (in Excel: Save As, 'CSV UTF-8')"


@dataclass(frozen=True)
class Row:
    """One row: its first line in the file (the header is line 1) and its cells by column."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True)
class Rows:
    """A header and its rows. Cells carry no surrounding space; blank rows are left out."""

    columns: tuple[str, ...]
    rows: Iterator[Row]
    """To be read once. Notes rows of the wrong length in the problems, and leaves them out."""


def read_rows(path: Path, problems: Problems) -> Rows:
    """Read a CSV file: UTF-8 with or without BOM, any line ends, comma, semicolon or tab.

    Raises:
        DataError: the file is missing, a folder, not text, not UTF-8, has no header, or repeats a
            column; while reading rows: there are none, or the rules of quoting are broken.
    """
    text = _text(path, problems)
    first = re.match(r"\s*[^\r\n]*", text)
    delimiter = max(",;\t", key=first[0].count) if first else ","
    # newline="" keeps line ends inside quoted cells as they are
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines = _lines(reader, problems)
    start, header = next(lines, (1, []))
    if not header:
        raise problems.stop("is empty; expected a header and rows")
    if repeated := sorted({name for name in header if name and header.count(name) > 1}):
        names = ", ".join(map(repr, repeated))
        raise problems.stop(f"has the column {names} more than once; keep one of each", row=start)
    columns = tuple(name for name in header if name)
    return Rows(columns=columns, rows=_rows(lines, header, delimiter, problems))


def _rows(
    lines: Iterator[tuple[int, list[str]]], header: list[str], delimiter: str, problems: Problems
) -> Iterator[Row]:
    nameless = [i for i, name in enumerate(header) if not name]
    line = 0
    for line, cells in lines:
        if len(cells) != len(header):
            problems.add(
                f"has {len(cells)} cells, expected {len(header)} as in the header; "
                f"put cells that contain {delimiter!r} in double quotes",
                row=line,
                kind="cells",
            )
            continue
        if any(cells[i] for i in nameless):
            problems.add(
                "there is text under a column without a name; name the column in the header "
                "or delete it (pandas: to_csv(index=False))",
                row=line,
                kind="nameless_column",
            )
        named = dict(zip(header, cells, strict=True))
        named.pop("", None)
        yield Row(line, named)
    if not line:
        raise problems.stop("has no rows below its header")


def _text(path: Path, problems: Problems) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise problems.stop("no such file; expected a CSV file") from None
    except IsADirectoryError:
        raise problems.stop("is a folder; expected a CSV file") from None
    except OSError as error:
        raise problems.stop(f"cannot be read: {error.strerror}") from None
    if data.startswith(b"PK\x03\x04"):
        raise problems.stop(f"is an Excel workbook or another zip file, not CSV; {MEND}")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise problems.stop(f"is UTF-16 text; {MEND}")
    if (nul := data.find(b"\0")) >= 0:
        line = data.count(b"\n", 0, nul) + 1
        raise problems.stop(f"contains a NUL byte, so it is damaged or not text; {MEND}", row=line)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise problems.stop(f"is not UTF-8 text; {MEND}", row=line) from None


def _lines(reader: Iterator[list[str]], problems: Problems) -> Iterator[tuple[int, list[str]]]:
    """Non-blank rows with the line that each begins on."""
    line_num = 0
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                yield line_num + 1, stripped
            line_num = reader.line_num  # type: ignore[attr-defined]
    except csv.Error as error:
        message = f"is not valid CSV: {error}; look for an unpaired double quote"
        raise problems.stop(message, row=line_num + 1) from None
