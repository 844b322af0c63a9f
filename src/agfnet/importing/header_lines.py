"""Lines of a spreadsheet as its header: what they name, and two of them as one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from agfnet.data.extra_rows import are_units
from agfnet.data.rows import shape
from agfnet.importing.column_names import FILE, FILE_COLUMN, plain_name, role_of
from agfnet.importing.sheets import Sheet

_NUMBER = re.compile(r"[\d.,:/ -]+")
_ROWS_COMPARED = 50
SECOND_LINE, GAPS = 0.5, 0.6
"""Losses of the score of a header for a second line, and for columns without a separate name.
A second line is joined if it gives such columns their names."""


def score(cells: Sequence[str], known: Sequence[str]) -> float:
    """Return the number of different things that a header names."""
    roles = {role_of(cell)[0] for cell in cells} - {""}
    count = len(roles) - 0.6 * ("id" in roles)
    paths = any(FILE_COLUMN.search(plain_name(cell)) for cell in cells)
    text = sum(bool(cell) and not _NUMBER.fullmatch(cell) for cell in cells)
    return 10 * sum(name in cells for name in known) + count + paths + text / 100


def gaps(cells: Sequence[str], sheet: Sheet, start: int) -> float:
    """Return what a header loses for names that columns share, and columns without one.

    Args:
        cells: the header.
        sheet: the table.
        start: position of the first row below the header.
    """
    names = [cell for cell in cells if cell]
    rows = [row for _, row in sheet.rows[start : start + _ROWS_COMPARED]]
    filled = Counter(n for row in rows for n, cell in enumerate(row) if cell)
    nameless = any(
        2 * count >= len(rows) for n, count in filled.items() if not "".join(cells[n : n + 1])
    )
    return GAPS if nameless or len(set(names)) < len(names) else 0


def joined(sheet: Sheet, position: int) -> list[str]:
    """Return a line and the next one as one header, or nothing if the next one is none.

    The title of a group of columns counts for the cells to its right.
    """
    rows = [list(cells) for _, cells in sheet.rows[position : position + _ROWS_COMPARED]]
    width = max(map(len, rows))
    upper, *below = ([*row, *[""] * (width - len(row))] for row in rows)
    if sum(map(bool, upper)) < 2 or len(below) < 2 or _is_data(below):
        return []
    lower, names, title = below[0], [], ""
    for above, name in zip(upper, lower, strict=True):
        title = above or (title if name else "")
        full = name if name == title else f"{title} {name}".strip()
        is_clear = role_of(name)[0] and not role_of(full)[0] and lower.count(name) == 1
        names.append(name if is_clear else full)
    return names


def _is_data(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the first of several rows is like the others, or one of units."""
    first, *others = rows
    if are_units(first):
        return True
    for cell, *below in zip(first, *others, strict=True):
        form = shape(cell)
        if cell and (
            cell in below
            or _NUMBER.fullmatch(cell)
            or FILE.search(cell)
            or (form and form in map(shape, below))
        ):
            return True
    return False


def unique(cells: Sequence[str]) -> list[str]:
    """Return the names of columns, with a number where several are equal."""
    counts: Counter[str] = Counter()
    columns = []
    for cell in cells:
        name = " ".join(cell.split())
        counts[name] += 1
        columns.append(f"{name} ({counts[name]})" if name and counts[name] > 1 else name)
    return columns
