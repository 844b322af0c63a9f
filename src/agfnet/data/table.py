"""The cases table: a CSV file with one row per lesion. Reading and checking it."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from agfnet.data.case import (
    JOIN,
    SPLITS,
    Case,
    CasesTable,
    box_column,
    cases_hash,
    cell_paths,
    mask_column,
)
from agfnet.data.case_reader import iterate_cases
from agfnet.data.image_cells import find_modalities
from agfnet.data.labels import map_labels
from agfnet.data.problems import Problems, StrPath
from agfnet.data.spelling import patient_key
from agfnet.data.write_table import write_cases

__all__ = [
    "JOIN",
    "SPLITS",
    "Case",
    "CasesTable",
    "box_column",
    "cases_hash",
    "cell_paths",
    "find_modalities",
    "iterate_cases",
    "map_labels",
    "mask_column",
    "read_cases",
    "write_cases",
]


def read_cases(
    path: StrPath,
    *,
    modalities: Sequence[str],
    check_files: bool = True,
    check_boxes: bool = True,
    problems: Problems | None = None,
) -> CasesTable:
    """Read a cases table and check it.

    A patient id that is spelled in several ways is read in one of them, and a placeholder such as
    `NA` as an empty cell. Both are noted: in the log, or in `problems`.

    Args:
        path: the CSV file. Image paths in it are relative to its folder, or absolute.
        modalities: names of the image columns, in the order of the configuration. A case that has
            images only in other columns stays, without images.
        check_files: also check that every image and mask file exists and is not empty.
        check_boxes: with `check_files`, compare the boxes with the sizes of their images, which
            opens these images.
        problems: where to add the problems of the rows; they are raised if it is None. Rows with
            too many cells are left out; all others become cases, with or without problems.

    Raises:
        ConfigError: `modalities` is empty, repeats a name, or names another column.
        DataError: up to 20 problems of the table, one line each; with `problems`, only those
            that leave no rows to read.
    """
    collected = Problems(path) if problems is None else problems
    with _without_collector():
        cases = tuple(
            iterate_cases(
                path,
                collected,
                modalities=modalities,
                check_files=check_files,
                check_boxes=check_boxes,
            )
        )
        cases = _unify_patients(cases, collected)
    if problems is None:
        collected.check()
        collected.log_notes()
    return CasesTable(path=Path(path).absolute(), modalities=tuple(modalities), cases=cases)


def _unify_patients(cases: tuple[Case, ...], problems: Problems) -> tuple[Case, ...]:
    """Give all cases of a patient the same spelling of the id, the first in alphabetical order."""
    first: dict[str, Case] = {}
    spellings: dict[str, set[str]] = {}
    for case in cases:
        key = patient_key(case.patient_id)
        other = first.setdefault(key, case)
        if other.patient_id != case.patient_id:
            known = spellings.setdefault(key, {other.patient_id})
            if case.patient_id not in known:
                known.add(case.patient_id)
                problems.note(
                    f"{case.patient_id!r} and {other.patient_id!r} in row {other.row} count as "
                    "one patient; write the id one way",
                    row=case.row,
                    column="patient_id",
                    finding="patient_spelling",
                )
    if not spellings:
        return cases
    spelling = {name: min(names) for names in spellings.values() for name in names}
    return tuple(
        replace(case, patient_id=spelling.get(case.patient_id, case.patient_id)) for case in cases
    )


@contextmanager
def _without_collector() -> Iterator[None]:
    """Disable garbage collection: it takes half the time, and cases have no reference cycles."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
