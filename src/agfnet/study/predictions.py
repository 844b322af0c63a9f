"""Predictions of the networks of a study: of its runs, or in one small file with all of them.

The file suffices to write the tables and the report again when the statistics change, without the
runs and their networks.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

import numpy as np

from agfnet.errors import DataError
from agfnet.files import replacing
from agfnet.inference.predictions import (
    Predictions,
    align,
    format_predictions,
    parse_predictions,
    read_predictions,
)
from agfnet.study.executors.job import metrics_file
from agfnet.study.plan import TEST, Run, Study

RunKey = tuple[int, int | None]  # seed and fold
Reader = Callable[[Run, str], Predictions | None]
"""Returns the labelled predictions of a run on a table, None if it has not been scored there."""
STORED = "predictions.zip"
DAMAGE = (OSError, ValueError, EOFError, RuntimeError, BadZipFile, zlib.error)
"""Errors of reading a ZIP archive that is cut off, changed or encrypted."""
DIGITS = 7
"""Significant digits of a stored probability, those of 32-bit numbers: with fewer, two classes may
become equal, which changes the answer."""


@dataclass(frozen=True, kw_only=True)
class MethodPredictions:
    """Predictions of the S networks of a method on a table, ordered by seed."""

    keys: tuple[RunKey, ...]
    """Seed of each network, and fold where folds are not pooled."""
    tables: tuple[Predictions, ...]
    single: Mapping[RunKey, Predictions]
    """Predictions of every single run."""


def read_run(run: Run, table: str) -> Predictions | None:
    """Read the predictions in the folder of a run; see `Reader`."""
    file = metrics_file(run, table)
    if not file.is_file():
        return None
    return read_predictions(file.with_name("predictions.csv")).labelled()


def store_predictions(study: Study) -> Path:
    """Write the predictions of all runs that were scored into one file of the study's folder.

    Returns:
        The file: a ZIP archive with a table in CSV for each run and table.
    """
    path = study.out / STORED
    with replacing(path) as temporary, ZipFile(temporary, "w", ZIP_DEFLATED) as archive:
        for run in study.runs:
            for table in (TEST, *study.file.evaluate):
                if predictions := read_run(run, table):
                    entry = ZipInfo(_entry(run, table))  # without the time: always the same bytes
                    entry.compress_type = ZIP_DEFLATED
                    archive.writestr(entry, format_predictions(predictions, DIGITS))
    return path


def stored_reader(path: Path, study: Study) -> Reader:
    """Return a function that reads the predictions in a file of `store_predictions`.

    Raises:
        DataError: The file is missing or damaged, or has no run of the study.
    """
    try:
        with ZipFile(path) as archive:
            contents = {name: archive.read(name).decode() for name in archive.namelist()}
    except DAMAGE as error:
        raise DataError(
            f"{path}: is not a readable file with predictions ({error}); expected the {STORED} "
            "that `agfnet study` has written"
        ) from None
    names = [_entry(run, TEST) for run in study.runs]
    if not contents.keys() & set(names):
        raise DataError(f"{path}: has no run of {study.path}, such as {names[0]}")

    def read(run: Run, table: str) -> Predictions | None:
        name = _entry(run, table)
        return parse_predictions(contents[name], path / name) if name in contents else None

    return read


def _entry(run: Run, table: str) -> str:
    return f"{run.name}/{table}.csv"


def read_method_predictions(
    study: Study, setting: str, table: str, read: Reader = read_run
) -> dict[str, MethodPredictions]:
    """Read the predictions of every method, with the same order of cases for all.

    Args:
        study: The study.
        setting: Name of a setting.
        table: `test`, or a further table.
        read: Returns the predictions of a run.
    """
    folds = len(study.file.folds or (None,))
    pooled = table == TEST
    first_of: dict[object, Predictions] = {}  # cohort (a seed, or None if shared) to its order
    by_method = {}
    for method in study.methods:
        runs = [r for r in study.runs if (r.method, r.setting) == (method, setting)]
        tables: dict[RunKey, Predictions] = {}
        single: dict[RunKey, Predictions] = {}
        for seed, group in groupby(runs, key=lambda run: run.seed):
            of_folds = {run.fold: p for run in group if (p := read(run, table))}
            single |= {(seed, fold): predictions for fold, predictions in of_folds.items()}
            if len(of_folds) == folds:
                whole = {None: _pool(list(of_folds.values()))} if pooled else of_folds
                tables |= {(seed, fold): predictions for fold, predictions in whole.items()}
        for (seed, fold), predictions in tables.items():
            cohort = seed if study.file.cohort_per_seed else None
            first = first_of.setdefault(cohort, predictions)
            try:
                tables[seed, fold] = align(first, predictions)
            except DataError as error:
                raise DataError(f"{method}, seed {seed}, on {table}: {error}") from error
        by_method[method] = MethodPredictions(
            keys=tuple(tables), tables=tuple(tables.values()), single=single
        )
    return by_method


def _pool(parts: Sequence[Predictions]) -> Predictions:
    """Concatenate the test cases of all folds."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    columns = [[part.classes.index(name) for name in first.classes] for part in parts]

    def joined(name: str) -> tuple[str, ...]:
        return tuple(value for part in parts for value in getattr(part, name))

    return Predictions(
        classes=first.classes,
        lesion_id=joined("lesion_id"),
        patient_id=joined("patient_id"),
        label=joined("label"),
        probabilities=np.concatenate(
            [part.probabilities[:, order] for part, order in zip(parts, columns, strict=True)]
        ),
    )
