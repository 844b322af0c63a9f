"""Operating point of the malignant group: its threshold, and the rates there."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

from agfnet.bundle import OperatingPoint, Rate
from agfnet.diagnoses import MALIGNANT
from agfnet.inference.predictions import Predictions, group_sum
from agfnet.metrics.metric import Booleans
from agfnet.metrics.operating_points import halfway_threshold, threshold_for_sensitivity


def fit_operating_point(
    predictions: Predictions, *, sensitivity: float = 0.95
) -> OperatingPoint | None:
    """Find the threshold of the malignant group that reaches a sensitivity.

    It is the largest one halfway between two whole per cent (see `halfway_threshold`).

    Args:
        predictions: calibrated, of a split that the network was not trained on, with groups.
        sensitivity: minimum fraction of malignant lesions at or above the threshold.

    Returns:
        None without malignant classes, without others, or without a malignant lesion.
    """
    cases = predictions.labelled()
    members = np.isin(cases.classes, list(predictions.groups.get(MALIGNANT, ())))
    if not len(cases) or not 0 < members.sum() < len(members):
        return None
    score, positive = group_sum(cases.probabilities, members), members[cases.target]
    threshold = threshold_for_sensitivity(score, positive, sensitivity)
    if threshold is None:
        return None
    threshold = halfway_threshold(threshold)
    patients = np.array(cases.patient_id, dtype=str)
    detected = score >= threshold
    return OperatingPoint(
        group=MALIGNANT,
        members=tuple(members.tolist()),
        target_sensitivity=sensitivity,
        threshold=threshold,
        sensitivity=exact_rate(detected[positive], patients[positive]),
        specificity=exact_rate(~detected[~positive], patients[~positive]),
        positives=int(positive.sum()),
        negatives=int((~positive).sum()),
    )


def exact_rate(correct: Booleans, patients: npt.NDArray[np.str_]) -> Rate:
    """Return a rate with the 95 % interval of Clopper and Pearson (Biometrika 26:404-413, 1934).

    Lesions of one patient are not independent, so the interval has as many trials as patients. It
    does not shrink to a point where all lesions are right, as a bootstrap interval would.
    """
    if not len(correct):
        return Rate(None, None, None)
    value, trials = float(correct.mean()), len(np.unique(patients))
    successes = value * trials
    low = beta.ppf(0.025, successes, trials - successes + 1) if value > 0 else 0.0
    high = beta.ppf(0.975, successes + 1, trials - successes) if value < 1 else 1.0
    return Rate(value, float(low), float(high))
