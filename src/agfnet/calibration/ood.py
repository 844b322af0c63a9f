"""Noticing cases unlike those that the network was made for, by the energy of their logits."""

from __future__ import annotations

import numpy as np

from agfnet.calibration.conformal import patient_quantile
from agfnet.errors import DataError
from agfnet.inference.predictions import Predictions
from agfnet.metrics.bootstrap import Interval, patient_bootstrap
from agfnet.metrics.summary import Floats, Integers, Metric, Weighted, area_under_roc, ratio


def fit_threshold(predictions: Predictions, *, share: float = 0.05) -> float | None:
    """The score that a lesion of a new patient exceeds with probability `share` at most.

    Args:
        predictions: of a split that the network was not trained on, labelled or not.
        share: ordinary lesions that may be called strange.

    Returns:
        None without scores, or with too few patients to name a threshold.
    """
    if predictions.ood_score is None:
        return None
    return patient_quantile(predictions.ood_score, predictions.patient_id, 1 - share)


def separation(
    inside: Predictions, outside: Predictions, *, resamples: int = 1000, seed: int = 0
) -> dict[str, Interval]:
    """How well the scores tell strange cases from ordinary ones, labelled or not.

    Returns:
        `auroc`: chance that a strange case scores higher than an ordinary one. `fpr95`: share of
        ordinary cases called strange when 95 % of the strange ones are. With intervals over
        patients; those of the two tables are taken as different people.

    Raises:
        DataError: a table without scores.
    """
    scores, patients = [], []
    for name, table in (("inside", inside), ("outside", outside)):
        if table.ood_score is None:
            raise DataError(f"{name}: has no ood_score; predict its cases again with agfnet")
        scores.append(table.ood_score)
        patients += [f"{name} {patient}" for patient in table.patient_id]
    joined = np.concatenate(scores)
    label = ("inside",) * len(inside) + ("outside",) * len(outside)
    both = Predictions(
        classes=("inside", "outside"),
        lesion_id=tuple(map(str, range(len(joined)))),
        patient_id=tuple(patients),
        label=label,
        probabilities=np.stack([-joined, joined], axis=1),
    )
    return patient_bootstrap(
        both, {"auroc": _auroc, "fpr95": _fpr95}, resamples=resamples, seed=seed
    )


@Metric
def _auroc(scores: Floats, target: Integers) -> Weighted:
    return area_under_roc(scores[:, 1], target == 1)


@Metric
def _fpr95(scores: Floats, target: Integers) -> Weighted:
    order = np.argsort(-scores[:, 1], kind="stable")
    ranked = scores[order, 1]
    strange = (target == 1)[order].astype(np.float64)
    last = np.flatnonzero(np.diff(-ranked, append=np.inf))

    def weighted(weights: Floats) -> float:
        found = np.cumsum(weights[order] * strange)[last]
        false = np.cumsum(weights[order] * (1 - strange))[last]
        if not len(last) or not found[-1] > 0:
            return float("nan")
        place = int(np.searchsorted(found, 0.95 * found[-1]))
        return ratio(false[place], false[-1])

    return weighted
