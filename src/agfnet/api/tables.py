"""Tables of cases: a file, a pandas DataFrame, or a list of mappings."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from agfnet.data.paths import names_file
from agfnet.data.table import JOIN, cell_paths, read_cases
from agfnet.errors import ConfigError, DataError
from agfnet.files import replacing

_WHOLE = ("lesion_id", "patient_id", "fold")
"""Columns whose numbers are whole ones."""
Row = tuple[str, dict[str, Any]]  # lesion id, images by modality


def records(table: Any) -> list[dict[str, Any]]:
    """Return the rows of a DataFrame or of a list of mappings; missing cells become None.

    A level of the index of pandas that has a name is a column; ids and folds that pandas keeps as
    decimal numbers, because a cell is missing, are whole numbers again.

    Raises:
        DataError: Something else, or columns of several levels.
    """
    rows = _mappings(table)
    if not isinstance(rows, Sequence) or not all(isinstance(row, Mapping) for row in rows):
        raise DataError(
            f"{type(table).__name__} is no table; expected a path, a pandas or polars DataFrame, or"
            " a list of mappings from column to value"
        )
    return [{str(name): _value(str(name), v) for name, v in row.items()} for row in rows]


def _mappings(table: Any) -> Any:
    """Return the rows of a table, if it is one."""
    if hasattr(table, "to_dicts"):  # polars
        return table.to_dicts()
    if hasattr(table, "to_dict") and hasattr(table, "columns"):  # pandas
        if getattr(table.columns, "nlevels", 1) > 1:
            raise DataError(
                f"the columns of the table have {table.columns.nlevels} levels; give each one name,"
                " for example table.columns = ['_'.join(map(str, c)) for c in table.columns]"
            )
        columns = list(table.columns)
        if repeated := [name for name in columns if columns.count(name) > 1]:
            raise DataError(f"the table has two columns {repeated[0]!r}; keep one")
        names = enumerate(table.index.names)
        if levels := [n for n, name in names if name is not None and name not in columns]:
            table = table.reset_index(level=levels)
        return table.to_dict("records")
    return table.tolist() if hasattr(table, "tolist") else table  # an array of mappings


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, or the NA or NaT of pandas."""
    if isinstance(value, float | np.floating | Decimal):
        return bool(value != value)
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _value(column: str, value: Any) -> Any:
    if is_missing(value):
        return None
    is_number = isinstance(value, float | np.floating)
    whole = column in _WHOLE and is_number and float(value).is_integer()
    return int(value) if whole else value


def case_rows(table: Any, modalities: Sequence[str]) -> Iterator[Row]:
    """Yield the lesions of a table with their images.

    Raises:
        DataError: Problems of the table.
    """
    if isinstance(table, str | PathLike):
        for case in read_cases(table, modalities=modalities):
            yield case.lesion_id, {name: list(case.images[name]) for name in modalities}
        return
    rows = records(table)
    check_columns(rows, modalities)
    ids = [
        str(n if row.get("lesion_id") is None else row["lesion_id"])
        for n, row in enumerate(rows, 1)
    ]
    first: dict[str, int] = {}
    for number, lesion in enumerate(ids, start=1):
        if first.setdefault(lesion, number) != number:
            raise DataError(
                f"row {number}: lesion_id {lesion!r} is that of row {first[lesion]} as well; a"
                " table has one row for each lesion, with a list of images in a cell"
            )
    for lesion, row in zip(ids, rows, strict=True):
        yield lesion, {name: row.get(name) for name in modalities}


def check_columns(rows: Sequence[Mapping[str, Any]], modalities: Sequence[str]) -> None:
    """Check that every modality is a column: a misspelt one would count as missing images.

    Raises:
        DataError: A column is missing.
    """
    columns = dict.fromkeys(name for row in rows for name in row)
    if absent := [name for name in modalities if rows and name not in columns]:
        raise DataError(
            f"the table has no column {absent[0]!r}; there are {', '.join(map(repr, columns))};"
            " where an image is missing, its cell is None"
        )


def path_text(value: Any, where: str) -> str:
    """Return a path as text.

    Raises:
        ConfigError: It is something else, such as a DataFrame.
    """
    if not isinstance(value, str | PathLike):
        raise ConfigError(
            f"{where}: {type(value).__name__} is no path; write the table to a CSV file and name it"
        )
    return str(value)


def table_file(table: Any, path: Path) -> str:
    """Return the file of a table; a DataFrame or a list of mappings is written to `path`.

    Relative image paths count from the present folder.
    """
    if isinstance(table, str | PathLike):
        return str(table)
    rows = records(table)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return str(path)


def _cell(value: Any) -> str:
    """Return a cell; files become absolute, since the table may be in another folder."""
    if isinstance(value, list | tuple):
        return JOIN.join(map(_cell, value))
    # an array, a PIL image, a pydicom data set; not a number of NumPy
    if getattr(value, "ndim", 0) or hasattr(value, "getbands") or hasattr(value, "PixelData"):
        raise DataError(
            f"a cell holds a {type(value).__name__}; expected the path of an image file: save the"
            " image, and put its path there"
        )
    text = "" if value is None else str(value)
    if isinstance(value, PathLike):
        return str(Path(text).absolute())
    parts = cell_paths(text)
    if parts and all(part.suffix and names_file(part) for part in parts):
        return JOIN.join(str(part.absolute()) for part in parts)
    return text
