"""Writing a cases table."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from agfnet.data.boxes import boxes_cell
from agfnet.data.case import COLUMNS, JOIN, Case, box_column, mask_column, relative_to
from agfnet.data.paths import split_box
from agfnet.data.problems import StrPath
from agfnet.errors import ConfigError, DataError
from agfnet.files import replacing

OTHER_FORMATS = (".parquet", ".feather", ".xlsx", ".xls", ".ods", ".tsv", ".json", ".gz", ".zip")
"""Endings of names that promise something else than CSV."""


def check_modalities(modalities: Sequence[str]) -> None:
    """Raise ConfigError if modalities are missing, repeated, or named as another column."""
    columns = [*COLUMNS, *modalities, *map(mask_column, modalities), *map(box_column, modalities)]
    for name in modalities:
        if columns.count(name) > 1:
            raise ConfigError(f"modalities: {name!r} is used twice; give each its own column name")
    if not modalities:
        raise ConfigError("modalities: there are none; name at least one image column")


def check_name(path: StrPath, advice: str = "") -> None:
    """Raise ConfigError if the name of a table promises something else than CSV.

    Args:
        path: of the table.
        advice: end of the message.
    """
    if Path(path).suffix.lower() in OTHER_FORMATS:
        raise ConfigError(f"{path}: the table is CSV; let its name end in .csv{advice}")


def write_cases(
    cases: Iterable[Case], path: StrPath, *, modalities: Sequence[str], overwrite: bool = False
) -> None:
    """Write a cases table, whole or not at all; `read_cases` reads the same cases back.

    Image paths are written relative to the folder of `path`. The `split` column, mask columns and
    box columns are written only when a case has one.

    Args:
        cases: a table or any cases.
        path: the CSV file; its folder is made if missing.
        modalities: names of the image columns.
        overwrite: replace an existing file.

    Raises:
        ConfigError: `modalities` is empty, repeats a name, or names another column; or the name of
            the file is not that of a CSV table.
        DataError: the file exists and may not be replaced, or cannot be written; there are no
            cases; or a path or an attribute does not fit into a cases table.
    """
    check_modalities(modalities)
    check_name(path)
    path, cases = Path(path), tuple(cases)
    if not cases:
        raise DataError(f"{path}: there are no cases to write")
    masked = [name for name in modalities if any(case.masks.get(name) for case in cases)]
    boxes = {name: [boxes_cell(c.images.get(name, ())) for c in cases] for name in modalities}
    boxed = [name for name in modalities if any(boxes[name])]
    split = ["split"] if any(case.split for case in cases) else []
    columns = ["lesion_id", "patient_id", "label", *split, *modalities]
    columns += [*map(mask_column, masked), *map(box_column, boxed)]
    attributes = dict.fromkeys(name for case in cases for name in case.attributes)
    further = (*map(mask_column, modalities), *map(box_column, modalities))
    if clash := attributes.keys() & {*COLUMNS, *modalities, *further}:
        raise DataError(f"{path}: {min(clash)!r} cannot be an attribute too; rename it")
    relative = relative_to(path.absolute().parent)

    def cells(case: Case) -> list[str]:
        row = [case.lesion_id, case.patient_id, case.label]
        row += [case.split] if split else []
        row += [_cell(case.images.get(name, ()), path, relative) for name in modalities]
        row += [_cell(case.masks.get(name, ()), path, relative) for name in masked]
        row += [boxes_cell(case.images.get(name, ())) for name in boxed]
        return row + [case.attributes.get(name, "") for name in attributes]

    rows = [[*columns, *attributes], *map(cells, cases)]
    try:
        if path.exists() and not overwrite:
            raise DataError(f"{path}: exists already; choose another name or delete it first")
        with (
            replacing(path) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            csv.writer(file).writerows(rows)
    except (OSError, UnicodeEncodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be written: {reason}") from None


def printable(name: str) -> str:
    """Return a file name with the bytes that are not UTF-8 escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _cell(paths: Sequence[Path], table: Path, relative: Callable[[Path], str]) -> str:
    names = [relative(split_box(path)[0]) for path in paths]
    for name in names:
        if JOIN in name or name != name.strip():
            fault = f"contains {JOIN!r} or begins or ends with a space"
        elif printable(name) != name:
            fault = "is not UTF-8"
        else:
            continue
        raise DataError(
            f"{table}: the path '{printable(name)}' {fault}, which a cases table cannot hold; "
            "rename the file or folder"
        )
    return JOIN.join(names)
