"""The contents of the columns of a spreadsheet, guessed from their names and cells."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agfnet.data.problems import near
from agfnet.errors import ConfigError, DataError
from agfnet.importing.column_names import (
    FILE,
    FILE_COLUMN,
    MATCH_ROLES,
    is_suspected,
    plain_name,
    role_of,
)
from agfnet.importing.dates import date_keys
from agfnet.importing.header import Table
from agfnet.importing.labels import is_yes_or_no, looks_like_ids


@dataclass(frozen=True)
class Roles:
    """The contents of the columns."""

    columns: dict[str, str]
    """Role (`patient_id`, `label`, ...) to column."""
    images: dict[str, str]
    """Columns whose cells name files, to the modality; empty where each file decides."""
    identity: tuple[str, ...]
    """Columns that identify people, which are left out."""
    notes: tuple[str, ...] = ()
    """Columns that could be the label too."""


def guess_roles(
    table: Table,
    named_columns: Mapping[str, str],
    modalities: Sequence[str],
    is_file: Callable[[str, dict[str, str]], bool],
    modality_of_name: Callable[[str], str],
) -> Roles:
    """Return what each column holds: as the user says, and else by names and cells.

    Args:
        table: the spreadsheet.
        named_columns: role or modality to column, by the user.
        modalities: names of the image columns to write.
        is_file: tells whether a cell names an image file or a folder.
        modality_of_name: returns the modality that a column's name suggests; or empty.

    Raises:
        ConfigError: a role is unknown.
        DataError: a column occurs twice with different cells.
    """
    allowed = (*MATCH_ROLES, "label", "split", "fold")
    images: dict[str, str] = {}
    columns: dict[str, str] = {}
    for role, column in named_columns.items():
        if role in (*modalities, "file"):
            images[column] = role if role != "file" else ""
        elif role in (*allowed, "modality"):
            columns[role] = column
        else:
            raise ConfigError(
                f"columns: {role!r} is unknown; "
                f"{near(role, [*allowed, 'modality', 'file', *modalities])}"
            )
    free = [name for name in table.columns if name not in named_columns.values()]
    for name in free:
        if _holds_images(table, name, is_file, bool(modality_of_name(name))):
            images[name] = modality_of_name(name)
    ranked: dict[str, list[tuple[int, int, str]]] = {}
    for number, name in enumerate(free):
        role, rank = role_of(name)
        if role and name not in images and table.values(name):
            ranked.setdefault(role, []).append((rank, number, name))
    identity = tuple(name for _, _, name in ranked.pop("identity", []))
    # a "site" may be a part of the body: a centre that files do not depend on is an attribute
    centres = [
        each
        for each in ranked.pop("centre", [])
        if any(is_file(text, {}) for text in set(table.values(each[2])))
    ]
    if centres:
        ranked["centre"] = centres
    nameless, sides = ranked.pop("id", []), ranked.pop("side", [])
    labels = sorted(ranked.pop("label", []), key=lambda each: (_doubts(table, each[2]), *each))
    notes = _take_label(table, [name for _, _, name in labels], columns)
    for role, names in ranked.items():
        columns.setdefault(role, min(names)[2])
    _take_plain_ids(table, [name for _, _, name in nameless], columns, images)
    if sides and "lesion_id" not in columns and "patient_id" in columns:
        patients, side = columns["patient_id"], sides[0][2]
        pairs = {(cells[patients], cells[side]) for _, cells in table.rows}
        if len({patient for patient, _ in pairs}) < len(pairs) == len(table.rows):
            columns["lesion_id"] = side  # it distinguishes the lesions of a patient
    for role, name in columns.items():
        if name not in named_columns.values():
            _check_twins(table, role, name)
    return Roles(columns, images, identity, tuple(notes))


def _holds_images(
    table: Table, name: str, is_file: Callable[[str, dict[str, str]], bool], names_modality: bool
) -> bool:
    """Return whether a column holds image files, by its name and its first cells."""
    sample = [(cells[name], cells) for _, cells in table.rows if cells[name]][:60]
    named = names_modality or bool(FILE_COLUMN.search(plain_name(name)))
    like = sum(bool(FILE.search(text)) for text, _ in sample)
    real = sum(is_file(text, cells) for text, cells in sample) if named or like else 0
    return bool(sample) and (2 * real >= len(sample) or (2 * like >= len(sample) and named))


def _take_plain_ids(
    table: Table, names: Sequence[str], columns: dict[str, str], images: Mapping[str, str]
) -> None:
    """Take a plain "ID" as that of lesions where it is unique, else as that of patients."""
    for name in names:
        unique = len(set(table.values(name))) == len(table.rows)
        numbered_images = "" in images.values() and "patient_id" in columns
        if numbered_images and unique and "lesion_id" not in columns:
            continue  # it numbers the images, of which a lesion may have several
        role = "lesion_id" if unique and ("patient_id" in columns or images) else "patient_id"
        if not ({"patient_id", "lesion_id"} <= columns.keys()) and role not in columns:
            columns[role] = name


def _take_label(table: Table, names: Sequence[str], columns: dict[str, str]) -> list[str]:
    """Take the first column that may be the label, and return notes about the others."""
    if "label" in columns or not names:
        return []
    names, others = ([n for n in names if _may_be_label(table, n) is x] for x in (True, False))
    if not names:
        return [f"the cells of {name!r} are dates or files, and not labels" for name in others]
    columns["label"] = names[0]
    notes = []
    if len(names) > 1:
        notes.append(
            f"the label is taken from {names[0]!r}, and not from "
            f"{', '.join(map(repr, names[1:]))}; --columns.label takes "
            "another one"
        )
    if is_suspected(names[0]):
        notes.append(f"the label {names[0]!r} seems to be a diagnosis that was not confirmed")
    return notes


def _check_twins(table: Table, role: str, name: str) -> None:
    """Raise an error if another column of the same name has other contents."""
    for other in table.columns:
        if re.fullmatch(rf"{re.escape(name)} \(\d+\)", other):
            line = next((n for n, cells in table.rows if cells[name] != cells[other]), None)
            if line is not None:
                raise DataError(
                    f"{table.source}:{line}: two columns are named {name!r}, and differ in this "
                    f"row; delete one of them, or say which one is the {role}: --columns.{role} "
                    f"{name!r} or {other!r}"
                )


def _doubts(table: Table, name: str) -> bool:
    """Return whether the cells of a column look unlike diagnoses."""
    values = table.values(name)
    return bool(looks_like_ids(values)) or all(map(is_yes_or_no, values))


def _may_be_label(table: Table, name: str) -> bool:
    values = table.values(name)
    dates = date_keys(values)
    return 2 * sum(text in dates for text in values) < len(values) and not FILE.search(values[0])
