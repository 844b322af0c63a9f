"""What the networks of a study said about the cases of one table, method by method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from agfnet.errors import DataError
from agfnet.inference.predictions import Predictions, read_predictions
from agfnet.metrics.bootstrap import aligned
from agfnet.study.plan import TEST, Run, Study
from agfnet.study.work import result


@dataclass(frozen=True, kw_only=True)
class Answers:
    """A method's networks (S of them, seed by seed) on a table."""

    keys: tuple[tuple[int, int | None], ...]  # seed, and fold where folds are not pooled
    tables: tuple[Predictions, ...]
    single: Mapping[tuple[int, int | None], Predictions]  # run by run


def read_answers(study: Study, setting: str, table: str) -> dict[str, Answers]:
    """What every method said, cases in the same order for all."""
    folds = len(study.file.folds or (None,))
    pooled = table == TEST
    order: dict[object, Predictions] = {}  # by what must be the same cases
    found = {}
    for method in study.methods:
        runs = [r for r in study.runs if (r.method, r.setting) == (method, setting)]
        tables: dict[tuple[int, int | None], Predictions] = {}
        single: dict[tuple[int, int | None], Predictions] = {}
        for seed, group in groupby(runs, key=lambda run: run.seed):
            read = {run.fold: answers for run in group if (answers := _read(run, table))}
            single |= {(seed, fold): answers for fold, answers in read.items()}
            if len(read) == folds:
                whole = {None: _pool(list(read.values()))} if pooled else read
                tables |= {(seed, fold): answers for fold, answers in whole.items()}
        for (seed, fold), answers in tables.items():
            cohort = seed if study.file.cohort_per_seed else None
            first = order.setdefault(cohort, answers)
            try:
                tables[seed, fold] = aligned(first, answers)
            except DataError as error:
                raise DataError(f"{method}, seed {seed}, on {table}: {error}") from error
        found[method] = Answers(keys=tuple(tables), tables=tuple(tables.values()), single=single)
    return found


def _read(run: Run, table: str) -> Predictions | None:
    if not result(run, table).is_file():
        return None
    return read_predictions(result(run, table).with_name("predictions.csv")).labelled()


def _pool(parts: Sequence[Predictions]) -> Predictions:
    """The test cases of all folds in one table."""
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
