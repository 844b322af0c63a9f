"""Answering only when sure: the error rate among the answers given, and how to bound it."""

from __future__ import annotations

import numpy as np
from scipy.stats import beta

from agfnet.bundle import Abstention
from agfnet.inference.predictions import Predictions


def fit_abstention(
    predictions: Predictions, *, target_risk: float = 0.1, confidence: float = 0.95, seed: int = 0
) -> Abstention | None:
    """The lowest confidence at which the answers given are wrong no more often than `target_risk`.

    Selection with guaranteed risk (Geifman and El-Yaniv, "Selective classification for deep neural
    networks", NeurIPS 2017, algorithm 1): thresholds are searched by halving, each judged by the
    exact binomial upper bound (Clopper and Pearson) at 1 - `confidence` over the number of
    halvings, so that all bounds hold together with probability `confidence`. The bound needs
    independent cases: one lesion is drawn of each patient.

    Args:
        predictions: calibrated, of a split that the network was not trained on.
        target_risk: largest fraction of wrong answers among those given.
        confidence: probability that the guarantee holds.
        seed: which lesion of a patient counts.

    Returns:
        None where no threshold can be guaranteed: too few patients, or too many errors.
    """
    cases = one_per_patient(predictions.labelled(), seed)
    certainty = cases.probabilities.max(axis=1)
    delta = round(1 - confidence, 12)  # 1 - 0.95 is not 0.05 in floating point
    wrong = cases.probabilities.argmax(axis=1) != cases.target
    thresholds = np.unique(certainty)
    judged = len(thresholds).bit_length()  # most thresholds that the search below can judge
    found = None
    low, high = 0, len(thresholds)
    while low < high:
        middle = (low + high) // 2
        given = certainty >= thresholds[middle]
        bound = upper_bound(int(wrong[given].sum()), int(given.sum()), delta / judged)
        if bound > target_risk:
            low = middle + 1
            continue
        high = middle
        found = Abstention(
            threshold=float(thresholds[middle]),
            target_risk=target_risk,
            confidence=confidence,
            bound=bound,
            coverage=float(given.mean()),
        )
    return found


def upper_bound(errors: int, cases: int, delta: float) -> float:
    """The error rate exceeded with probability delta at most (Clopper and Pearson, 1934)."""
    return 1.0 if errors >= cases else float(beta.ppf(1 - delta, errors + 1, cases - errors))


def one_per_patient(predictions: Predictions, seed: int) -> Predictions:
    """One lesion of each patient, drawn at random but independent of the order of the rows."""
    rows = sorted(range(len(predictions)), key=lambda row: predictions.lesion_id[row])
    drawn = np.random.default_rng(seed).permutation(np.array(rows, dtype=np.int64))
    return predictions.select(list({predictions.patient_id[row]: row for row in drawn}.values()))
