"""Predictions of the networks of a study on one cases table, by method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from agfnet.errors import DataError
from agfnet.inference.predictions import Predictions, align, read_predictions
from agfnet.study.executors.job import metrics_file
from agfnet.study.plan import TEST, Run, Study

RunKey = tuple[int, int | None]  # seed and fold


@dataclass(frozen=True, kw_only=True)
class MethodPredictions:
    """Predictions of the S networks of a method on a table, ordered by seed."""

    keys: tuple[RunKey, ...]
    """Seed of each network, and fold where folds are not pooled."""
    tables: tuple[Predictions, ...]
    single: Mapping[RunKey, Predictions]
    """Predictions of every single run."""


def read_method_predictions(study: Study, setting: str, table: str) -> dict[str, MethodPredictions]:
    """Read the predictions of every method, with the same order of cases for all."""
    folds = len(study.file.folds or (None,))
    pooled = table == TEST
    first_of: dict[object, Predictions] = {}  # cohort (a seed, or None if shared) to its order
    by_method = {}
    for method in study.methods:
        runs = [r for r in study.runs if (r.method, r.setting) == (method, setting)]
        tables: dict[RunKey, Predictions] = {}
        single: dict[RunKey, Predictions] = {}
        for seed, group in groupby(runs, key=lambda run: run.seed):
            of_folds = {run.fold: p for run in group if (p := _read(run, table))}
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


def _read(run: Run, table: str) -> Predictions | None:
    file = metrics_file(run, table)
    if not file.is_file():
        return None
    return read_predictions(file.with_name("predictions.csv")).labelled()


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
