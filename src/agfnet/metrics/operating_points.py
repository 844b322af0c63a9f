"""A group of classes against the others, above all malignant against benign, at thresholds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from agfnet.errors import ConfigError
from agfnet.inference.predictions import Predictions
from agfnet.metrics.bootstrap import Interval
from agfnet.metrics.delong import area_interval, delong
from agfnet.metrics.discrimination import average_precision
from agfnet.metrics.intervals import intervals
from agfnet.metrics.summary import (
    Floats,
    Integers,
    Metric,
    Weighted,
    area_under_roc,
    brier,
    ece,
    entries,
    rates,
)

OTHER = "other"
POINT = ("sensitivity", "specificity", "ppv", "npv", "called")


def grouped(
    predictions: Predictions, names: Sequence[str], title: str = "malignant"
) -> Predictions:
    """The table with two classes, `other` and the title: the named ones, probabilities summed.

    Raises:
        ConfigError: no name, a name that is no class, or all classes.
    """
    check_group(predictions.classes, names, title)
    inside = np.isin(predictions.classes, list(names))
    share = np.clip(predictions.probabilities[:, inside].sum(axis=1), 0, 1)
    chosen = set(names)
    return Predictions(
        classes=(OTHER, title),
        lesion_id=predictions.lesion_id,
        patient_id=predictions.patient_id,
        label=tuple(name and (title if name in chosen else OTHER) for name in predictions.label),
        probabilities=np.stack([1 - share, share], axis=1),
    )


def check_group(classes: Sequence[str], names: Sequence[str], title: str = "malignant") -> None:
    """Raise ConfigError unless the names are some of the classes, but not all."""
    known = ", ".join(classes)
    if unknown := sorted(set(names) - set(classes)):
        raise ConfigError(f"{title}: {unknown[0]!r} is no class of this network ({known})")
    if not 0 < len(set(names)) < len(classes):
        raise ConfigError(f"{title}: name some of the classes, but not all ({known})")


def threshold_for_sensitivity(
    score: Floats, positive: npt.NDArray[np.bool_], sensitivity: float
) -> float | None:
    """The largest threshold at which at least this share of the positives is called (score >= it).

    Without a margin: in new cases the sensitivity is as likely to be a little lower as higher.
    None without a positive case.
    """
    mine = np.sort(score[positive])
    if not len(mine):
        return None
    return float(mine[len(mine) - int(np.ceil(sensitivity * len(mine) - 1e-9))])


def at_threshold(threshold: float) -> dict[str, Metric]:
    """The rates of a table of two classes whose second is called from this probability on.

    `called` is the share of all cases that are.
    """

    def prepare(probabilities: Floats, target: Integers) -> Callable[[Floats], Floats]:
        cell = 2 * target + (probabilities[:, 1] >= threshold)

        def weighted(weights: Floats) -> Floats:
            counts = np.bincount(cell, weights, 4).astype(np.float64).reshape(2, 2)
            found = rates(counts)
            called = counts[:, 1].sum() / counts.sum() if counts.sum() > 0 else np.nan
            return np.array(
                [
                    found.sensitivity[1],
                    found.specificity[1],
                    found.precision[1],
                    found.npv[1],
                    called,
                ]
            )

        return weighted

    return entries(POINT, prepare)


def evaluate_group(
    predictions: Predictions,
    names: Sequence[str],
    *,
    validation: Predictions | None = None,
    sensitivities: Sequence[float] = (0.9, 0.95),
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """The group against the rest over the labelled cases, as malignant.json holds it.

    Args:
        predictions: the table to score.
        names: classes of the group.
        validation: predictions of the validation split, from which alone thresholds are chosen;
            without it there are no operating points.
        sensitivities: one operating point each.
        resamples: of patients.
        seed: of the resampling.

    Raises:
        ConfigError: see `grouped`.
    """
    cases = grouped(predictions, names).labelled()
    positive = cases.target == 1
    score = cases.probabilities[:, 1]
    found = intervals(cases, GROUP, resamples=resamples, seed=seed)
    area, covariance = delong(score[None], positive, np.array(cases.patient_id, dtype=str))
    interval = Interval(float(area[0]), *area_interval(float(area[0]), float(covariance[0, 0])))
    points = []
    if validation is not None:
        held = grouped(validation, names).labelled()
        for aim in sensitivities:
            threshold = threshold_for_sensitivity(held.probabilities[:, 1], held.target == 1, aim)
            point: dict[str, Any] = {"aim": aim, "threshold": threshold}
            if threshold is not None:
                metrics = at_threshold(threshold)
                point |= intervals(cases, metrics, resamples=resamples, seed=seed)
            points.append(point)
    return {
        "classes": list(names),
        "n": len(cases),
        "positives": int(positive.sum()),
        **found,
        "auc_delong": interval,
        "operating_points": points,
    }


@Metric
def _auc(probabilities: Floats, target: Integers) -> Weighted:
    return area_under_roc(probabilities[:, 1], target == 1)


@Metric
def _ap(probabilities: Floats, target: Integers) -> Weighted:
    return average_precision(probabilities[:, 1], target == 1)


GROUP = {"auc": _auc, "ap": _ap, "brier": brier, "ece": ece}
