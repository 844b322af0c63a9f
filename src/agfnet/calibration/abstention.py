"""Selective prediction: the confidence below which the network abstains."""

from __future__ import annotations

import numpy as np
from scipy.stats import beta

from agfnet.bundle import Abstention
from agfnet.inference.predictions import Predictions


def fit_abstention(
    predictions: Predictions, *, target_risk: float = 0.1, confidence: float = 0.95, seed: int = 0
) -> Abstention | None:
    """Find the lowest threshold whose answers have an error rate of at most `target_risk`.

    Selection with guaranteed risk (Geifman and El-Yaniv, "Selective classification for deep neural
    networks", NeurIPS 2017, algorithm 1): thresholds are searched by bisection, each tested by the
    exact binomial upper bound (Clopper and Pearson). The probability of failure, 1 - `confidence`,
    is divided by the number of steps, so that all bounds hold together. The bound needs independent
    cases: one lesion is drawn of each patient.

    Args:
        predictions: calibrated, of a split that the network was not trained on.
        target_risk: maximum error rate among the answers, from 0 to 1.
        confidence: probability that the guarantee holds, from 0 to 1.
        seed: of the draw of one lesion per patient.

    Returns:
        None if no threshold can be guaranteed: too few patients, or too many errors.
    """
    cases = one_per_patient(predictions.labelled(), seed)
    probability = cases.probabilities.max(axis=1)
    wrong = cases.probabilities.argmax(axis=1) != cases.target
    thresholds = np.unique(probability)
    steps = len(thresholds).bit_length()  # maximum of the bisection below
    failure = round(1 - confidence, 12)  # 1 - 0.95 is not 0.05 in floating point
    best = None
    low, high = 0, len(thresholds)
    while low < high:
        middle = (low + high) // 2
        answered = probability >= thresholds[middle]
        bound = upper_bound(int(wrong[answered].sum()), int(answered.sum()), failure / steps)
        if bound > target_risk:
            low = middle + 1
            continue
        high = middle
        best = Abstention(
            threshold=float(thresholds[middle]),
            target_risk=target_risk,
            confidence=confidence,
            bound=bound,
            coverage=float(answered.mean()),
        )
    return best


def upper_bound(errors: int, cases: int, failure: float) -> float:
    """Upper bound of an error rate, exceeded with probability `failure` (Clopper, Pearson 1934)."""
    return 1.0 if errors >= cases else float(beta.ppf(1 - failure, errors + 1, cases - errors))


def one_per_patient(predictions: Predictions, seed: int) -> Predictions:
    """Draw one lesion of each patient, independent of the order of the rows."""
    rows = sorted(range(len(predictions)), key=lambda row: predictions.lesion_id[row])
    drawn = np.random.default_rng(seed).permutation(np.array(rows, dtype=np.int64))
    return predictions.select(list({predictions.patient_id[row]: row for row in drawn}.values()))
