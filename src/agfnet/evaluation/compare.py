"""Comparison of two runs on the same lesions: paired differences and agreement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import binomtest

from agfnet.data.spelling import patient_key
from agfnet.errors import DataError
from agfnet.inference.predictions import Predictions, align
from agfnet.metrics.bootstrap import bootstrap, to_json
from agfnet.metrics.calibration import CENTRES
from agfnet.metrics.delong import influence
from agfnet.metrics.discrimination import rates, weighted_confusion
from agfnet.metrics.metric import Floats, Statistics
from agfnet.metrics.paired import (
    area_parts,
    area_test,
    casewise,
    holm,
    paired_jackknife,
    permutation_p,
)
from agfnet.metrics.summary import METRICS, summary

COMPARED = [name for name in METRICS if name != "macro_sensitivity"]  # the balanced accuracy again


class Pair(NamedTuple):
    """Two tables, row by row of the same labelled lesions."""

    a: Predictions
    b: Predictions
    only_a: int  # labelled lesions that the other table does not have
    only_b: int


def paired(a: Predictions, b: Predictions) -> Pair:
    """Return the labelled lesions that both tables contain, in the same order.

    Raises:
        DataError: there is none, or the tables contradict each other about a lesion or the classes.
    """
    a, b = a.labelled(), b.labelled()
    both = set(a.lesion_id) & set(b.lesion_id)
    _check_spelling(set(a.lesion_id) - both, set(b.lesion_id) - both)
    if not both:
        raise DataError(
            f"the two tables have no labelled lesion in common ({len(a)} and {len(b)} lesions); "
            "compare evaluations of the same cases table"
        )
    first = a.select([row for row, lesion in enumerate(a.lesion_id) if lesion in both])
    second = b.select([row for row, lesion in enumerate(b.lesion_id) if lesion in both])
    return Pair(first, align(first, second), len(a) - len(both), len(b) - len(both))


def _check_spelling(only_a: set[str], only_b: set[str]) -> None:
    """Raise an error about lesions of which the two tables spell the id in two ways."""
    spelling_b = {patient_key(lesion): lesion for lesion in only_b}
    spellings = [(x, spelling_b[patient_key(x)]) for x in only_a if patient_key(x) in spelling_b]
    if spellings:
        in_a, in_b = min(spellings)
        raise DataError(
            f"column lesion_id: {in_a!r} of the first table is {in_b!r} in the second, and "
            f"{len(spellings)} lesions in all differ in case, spaces, separators or leading zeros "
            "only; write the ids one way in both tables"
        )


def compare(pair: Pair, *, resamples: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Return the content of compare.json; every difference is A minus B.

    Args:
        pair: result of `paired`.
        resamples: of patients, for the intervals of each table.
        seed: of the resampling and the permutations.

    Returns:
        `n`, `patients`, `only_a`, `only_b`; `metrics`: per metric `a`, `b` and `difference` (with
        `p` by a jackknife of patients, and `p_holm` adjusted for their number);
        `macro_auc_delong`: the difference of macro AUC in closed form, patients as clusters;
        `right`: lesions that `both`, `only_a`, `only_b` or `neither` predicted correctly, and two
        p values of no difference, `mcnemar` (exact,
        lesions as independent) and `permutation` (patients exchanged); `classes`: per class `n`,
        and `sensitivity` and `auc` with `a`, `b` and `difference` (jackknife and DeLong).
    """
    a, b = pair.a, pair.b
    statistics = [_statistics(table) for table in (a, b)]
    options: dict[str, Any] = {"resamples": resamples, "seed": seed, "centres": CENTRES}
    intervals = [bootstrap(a.patient_id, each, **options) for each in statistics]
    differences = paired_jackknife(a.patient_id, *statistics)
    adjusted = holm([differences[name].p for name in COMPARED])
    metrics = {
        name: {
            "a": intervals[0][name],
            "b": intervals[1][name],
            "difference": differences[name]._asdict() | {"p_holm": float(p)},
        }
        for name, p in zip(COMPARED, adjusted, strict=True)
    }
    parts = area_parts(a.probabilities, a.target) - area_parts(b.probabilities, b.target)
    comparison = {
        "n": len(a),
        "patients": len(set(a.patient_id)),
        "only_a": pair.only_a,
        "only_b": pair.only_b,
        "metrics": metrics,
        "macro_auc_delong": area_test(differences["macro_auc"].value, parts, a.patient_id),
        "right": _right(a, b, seed),
        "classes": {
            name: {
                "n": int((a.target == column).sum()),
                "sensitivity": {
                    "a": intervals[0][column].value,
                    "b": intervals[1][column].value,
                    "difference": differences[column],
                },
                "auc": _areas(a, b, column),
            }
            for column, name in enumerate(a.classes)
        },
    }
    return dict(to_json(comparison))


def _statistics(cases: Predictions) -> Statistics[str | int]:
    """The COMPARED metrics by name, and the sensitivity of each class by its index."""
    metrics = summary(cases.probabilities, cases.target, COMPARED)
    counts = weighted_confusion(cases.probabilities, cases.target)

    def weighted(weights: Floats) -> Mapping[str | int, float]:
        values: dict[str | int, float] = dict(metrics(weights).items())
        return values | dict(enumerate(rates(counts(weights)).sensitivity.tolist()))

    return weighted


def _right(a: Predictions, b: Predictions, seed: int) -> dict[str, Any]:
    first, second = (
        casewise("accuracy", table.probabilities, table.target).astype(bool) for table in (a, b)
    )
    only_a, only_b = int((first & ~second).sum()), int((second & ~first).sum())
    undecided = only_a + only_b
    return {
        "both": int((first & second).sum()),
        "only_a": only_a,
        "only_b": only_b,
        "neither": int((~first & ~second).sum()),
        "mcnemar": binomtest(only_a, undecided).pvalue if undecided else 1.0,
        "permutation": permutation_p(first * 1.0 - second * 1.0, a.patient_id, seed=seed),
    }


def _areas(a: Predictions, b: Predictions, column: int) -> dict[str, Any]:
    """AUC of one class against the rest, and DeLong's test of the difference."""
    scores = np.stack([table.probabilities[:, column] for table in (a, b)])
    areas, parts = influence(scores, a.target == column)
    difference = area_test(float(areas[0] - areas[1]), parts[0] - parts[1], a.patient_id)
    return {"a": float(areas[0]), "b": float(areas[1]), "difference": difference}
