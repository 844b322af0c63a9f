"""Two runs on the same lesions: differences with paired intervals, and who is right where."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.stats import binomtest

from agfnet.errors import DataError
from agfnet.inference.predictions import Predictions
from agfnet.metrics.bootstrap import aligned, paired_bootstrap, patient_bootstrap, plain
from agfnet.metrics.delong import influence
from agfnet.metrics.paired import area_parts, area_test, casewise, holm, permutation_p
from agfnet.metrics.summary import METRICS, Metric

COMPARED = [name for name in METRICS if name != "macro_sensitivity"]  # the balanced accuracy again


class Pair(NamedTuple):
    """Two tables, row by row of the same labelled lesions."""

    a: Predictions
    b: Predictions
    only_a: int  # labelled lesions that the other table does not have
    only_b: int


def paired(a: Predictions, b: Predictions) -> Pair:
    """The labelled lesions that both tables hold, in the same order.

    Raises:
        DataError: there is none, or the tables contradict each other about a lesion or the classes.
    """
    a, b = a.labelled(), b.labelled()
    both = set(a.lesion_id) & set(b.lesion_id)
    if not both:
        raise DataError(
            f"the two tables have no labelled lesion in common ({len(a)} and {len(b)} lesions); "
            "compare evaluations of the same cases table"
        )
    first = a.select([row for row, lesion in enumerate(a.lesion_id) if lesion in both])
    second = b.select([row for row, lesion in enumerate(b.lesion_id) if lesion in both])
    return Pair(first, aligned(first, second), len(a) - len(both), len(b) - len(both))


def compare(pair: Pair, *, resamples: int = 1000, seed: int = 0) -> dict[str, Any]:
    """What compare.json holds; every difference is that of A minus B.

    Args:
        pair: the answer of `paired`.
        resamples: of patients.
        seed: of the resampling.

    Returns:
        `n`, `patients`, `only_a`, `only_b`; `metrics`: per metric `a`, `b` and `difference` (with
        `p`, and `p_holm` adjusted for their number); `macro_auc_delong`: the difference of macro
        AUC in closed form, patients as clusters; `right`: lesions that `both`, `only_a`, `only_b`
        or `neither` named correctly, `mcnemar` (exact, lesions as independent) and `permutation`
        (patients exchanged), two p of no difference; `classes`: per class `n`, and `sensitivity`
        and `auc` with `a`, `b` and `difference` (bootstrap and DeLong).
    """
    a, b = pair.a, pair.b
    options = {"resamples": resamples, "seed": seed}
    chosen = {name: METRICS[name] for name in COMPARED}
    own = [patient_bootstrap(table, chosen, **options) for table in (a, b)]
    differences = {name: paired_bootstrap(a, b, chosen[name], **options) for name in COMPARED}
    adjusted = holm([found.p for found in differences.values()])
    metrics = {
        name: {
            "a": own[0][name]._asdict(),
            "b": own[1][name]._asdict(),
            "difference": found._asdict() | {"p_holm": float(p)},
        }
        for (name, found), p in zip(differences.items(), adjusted, strict=True)
    }
    value = differences["macro_auc"].value
    parts = area_parts(a.probabilities, a.target) - area_parts(b.probabilities, b.target)
    return plain(
        {
            "n": len(a),
            "patients": len(set(a.patient_id)),
            "only_a": pair.only_a,
            "only_b": pair.only_b,
            "metrics": metrics,
            "macro_auc_delong": area_test(value, parts, a.patient_id)._asdict(),
            "right": _right(a, b, seed),
            "classes": {
                name: _class(a, b, column, resamples, seed) for column, name in enumerate(a.classes)
            },
        }
    )


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


def _class(
    a: Predictions, b: Predictions, column: int, resamples: int, seed: int
) -> dict[str, Any]:
    """One class against the rest."""
    positive = a.target == column
    scores = np.stack([table.probabilities[:, column] for table in (a, b)])
    areas, parts = influence(scores, positive)
    area = area_test(float(areas[0] - areas[1]), parts[0] - parts[1], a.patient_id)
    found = sensitivity(column)
    own = [found(table.probabilities, table.target) for table in (a, b)]
    difference = paired_bootstrap(a, b, found, resamples=resamples, seed=seed)
    return {
        "n": int(positive.sum()),
        "sensitivity": {"a": own[0], "b": own[1], "difference": difference._asdict()},
        "auc": {
            "a": float(areas[0]),
            "b": float(areas[1]),
            "difference": area._asdict(),
        },
    }


def sensitivity(column: int) -> Metric:
    """Share of the lesions of one class that are called so."""

    def prepare(probabilities: Any, target: Any) -> Any:
        mine = target == column
        hit = mine & (probabilities.argmax(axis=1) == column)

        def weighted(weights: Any) -> float:
            cases = float(weights @ mine)
            return float(weights @ hit) / cases if cases else float("nan")

        return weighted

    return Metric(prepare)
