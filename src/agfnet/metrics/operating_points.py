"""Operating points of a score against a binary truth: a threshold and the rates there."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from agfnet.metrics.discrimination import rates
from agfnet.metrics.metric import Booleans, Floats, Statistics, ratio

RATES = ("sensitivity", "specificity", "ppv", "npv", "predicted_positive_rate")


def threshold_for_sensitivity(
    score: Floats, positive: Booleans, sensitivity: float
) -> float | None:
    """Return the largest threshold that reaches a sensitivity (positive where score >= threshold).

    There is no margin: in new cases the sensitivity is as likely to be a little lower as higher.
    None without a positive case.
    """
    ranked = np.sort(score[positive])
    if not len(ranked):
        return None
    return float(ranked[len(ranked) - int(np.ceil(sensitivity * len(ranked) - 1e-9))])


def halfway_threshold(threshold: float) -> float:
    """Return the largest threshold halfway between two whole per cent that is not above another.

    A probability that is shown in whole per cent is then positive if the number shown is at least
    the next whole per cent. A threshold below half a per cent is returned as it is.
    """
    halfway = (np.floor(100 * threshold - 0.5 + 1e-9) + 0.5) / 100
    return float(halfway) if halfway > 0 else threshold


def rates_at(score: Floats, positive: Booleans, threshold: float) -> Statistics[str]:
    """Return the RATES where a score (N,) of at least the threshold counts as positive."""
    cell = 2 * positive.astype(np.int64) + (score >= threshold)

    def weighted(weights: Floats) -> Mapping[str, float]:
        counts = np.bincount(cell, weights, 4).astype(np.float64).reshape(2, 2)
        table = rates(counts)
        values = (table.sensitivity, table.specificity, table.ppv, table.npv)
        return dict(
            zip(
                RATES,
                [*(float(rate[1]) for rate in values), ratio(counts[:, 1].sum(), counts.sum())],
                strict=True,
            )
        )

    return weighted
