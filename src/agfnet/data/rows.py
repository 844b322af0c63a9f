"""A CSV file as checked rows of text, whatever program wrote it."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from agfnet.data.problems import Problems

MEND = "save it as CSV UTF-8 (in Excel: Save As, 'CSV UTF-8')"
CHUNK = 1 << 20


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
    """To be read once, from the file as it is asked for. Notes rows of the wrong length in the
    problems, and leaves them out."""


def read_rows(path: Path, problems: Problems) -> Rows:
    """Read a CSV file: UTF-8 with or without BOM, any line ends, comma, semicolon or tab.

    Memory holds a row, however long the file is.

    Raises:
        DataError: the file is missing, a folder, not text, not UTF-8, has no header, or repeats a
            column; while reading rows: there are none, or the rules of quoting are broken.
    """
    _check_text(path, problems)
    delimiter = _delimiter(path)
    lines = _lines(path, delimiter, problems)
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


def _check_text(path: Path, problems: Problems) -> None:
    """Look that a file is UTF-8 text throughout."""
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise problems.stop("is a pipe or a device, which can be read once only; save it first")
        with path.open("rb") as file:
            _check_bytes(file, problems)
    except FileNotFoundError:
        raise problems.stop("no such file; expected a CSV file") from None
    except IsADirectoryError:
        raise problems.stop("is a folder; expected a CSV file") from None
    except OSError as error:
        raise problems.stop(f"cannot be read: {error.strerror}") from None


def _check_bytes(file: BinaryIO, problems: Problems) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    line, first = 1, True
    more = True
    while more:
        chunk = file.read(CHUNK)
        more = bool(chunk)
        if first and chunk.startswith(b"PK\x03\x04"):
            raise problems.stop(f"is an Excel workbook or another zip file, not CSV; {MEND}")
        if first and chunk.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise problems.stop(f"is UTF-16 text; {MEND}")
        first = False
        if (nul := chunk.find(b"\0")) >= 0:
            line += chunk.count(b"\n", 0, nul)
            message = f"contains a NUL byte, so it is damaged or not text; {MEND}"
            raise problems.stop(message, row=line)
        try:
            decoder.decode(chunk, final=not more)
        except UnicodeDecodeError as error:
            line += error.object.count(b"\n", 0, error.start)
            raise problems.stop(f"is not UTF-8 text; {MEND}", row=line) from None
        line += chunk.count(b"\n")


def _delimiter(path: Path) -> str:
    """What separates the cells: the most frequent one of the first line with text."""
    with path.open(encoding="utf-8-sig") as file:
        first = next((text for line in file if (text := line.lstrip())), "")
    return max(",;\t", key=first.count)


def _lines(path: Path, delimiter: str, problems: Problems) -> Iterator[tuple[int, list[str]]]:
    """Non-blank rows with the line that each begins on."""
    line_num = 0
    # newline="" keeps line ends inside quoted cells as they are
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                stripped = [cell.strip() for cell in cells]
                if any(stripped):
                    yield line_num + 1, stripped
                line_num = reader.line_num
        except csv.Error as error:
            message = f"is not valid CSV: {error}; look for an unpaired double quote"
            raise problems.stop(message, row=line_num + 1) from None
