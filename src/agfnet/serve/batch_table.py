"""The table of a batch: found in the archive, and its paths checked."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path, PurePosixPath

from agfnet.data.problems import Problems
from agfnet.data.rows import read_rows
from agfnet.data.table import JOIN
from agfnet.serve.archive import MAX_NAME, path_in
from agfnet.serve.request_error import RequestError

TABLE = "cases.csv"
ENCODINGS = ("gbk", "big5", "shift_jis", "cp949", "cp866", "cp850", "cp852", "cp1252", "cp1251")
"""Encodings of names in archives of Windows, which do not state theirs."""


def find_table(folder: Path) -> Path:
    """Find the table of cases in an unpacked archive, also in another case, as on Windows.

    Raises:
        RequestError: it has no table, or several.
    """
    tables = sorted(path for path in folder.rglob("*") if path.name.lower() == TABLE)
    if len(tables) != 1:
        content = f"contains {len(tables) or 'no'} {TABLE}"
        text = f"the zip archive {content}; expected one, or the table as a second file"
        raise RequestError(422, "invalid", text)
    return tables[0]


def resolve_cells(table: Path) -> None:
    """Check that every path of a table stays in its folder, and find files with recoded names.

    An archive may have a name in another Unicode form or encoding than the table. The file is then
    linked under the name in the table.

    Raises:
        DataError: the table cannot be read, or a path leads out of the folder.
    """
    problems = Problems(table)
    for row in read_rows(table, problems).rows:
        for column, cell in row.cells.items():
            for name in map(str.strip, cell.split(JOIN)):
                path = PurePosixPath(name)
                if path.is_absolute() or ".." in path.parts or "\0" in name:
                    problems.add(
                        "leads out of the zip archive; use a path relative to the table",
                        row=row.line,
                        column=column,
                    )
                elif not name.isascii() and len(name) <= MAX_NAME:
                    _link(table.parent, name)
    problems.check()


def _link(folder: Path, name: str) -> None:
    """Link a file under a name of the table, if the archive has it under a recoded name."""
    target = folder / name
    names = [name]
    for encoding in ENCODINGS:
        with suppress(UnicodeError):
            names.append(name.encode(encoding).decode("cp437"))
    with suppress(OSError):  # such as a name that is too long: no file then
        for source in (folder / path_in(other) for other in names):
            if not target.exists() and source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.hardlink_to(source)
