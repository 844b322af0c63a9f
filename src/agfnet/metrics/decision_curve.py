"""Decision curves: net benefit of acting on the network, against acting on everybody or nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from agfnet.metrics.bootstrap import bootstrap
from agfnet.metrics.metric import Booleans, Floats

THRESHOLDS = tuple(round(0.01 * step, 2) for step in range(1, 100))


class DecisionCurve(NamedTuple):
    """Net benefit per case at each threshold, each (T,); that of acting on nobody is 0."""

    threshold: Floats  # probability from which one acts
    model: Floats  # net benefit of acting where the network states at least that probability
    low: Floats  # its interval
    high: Floats
    treat_all: Floats  # net benefit of acting on everybody


def decision_curve(
    score: Floats,
    positive: Booleans,
    patients: Sequence[str],
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    resamples: int = 1000,
    seed: int = 0,
) -> DecisionCurve:
    """Net benefit of acting on a probability, with 95 % intervals.

    Vickers and Elkin, Med Decis Making 26:565-574, 2006: true positives per case minus false
    positives per case, the latter weighted by the odds t / (1 - t) of the threshold, which says how
    many needless actions one missed case is worth. The band holds threshold by threshold, not for
    the curve as a whole.

    Args:
        score: (N,), probabilities; the curve is meaningful only if they are calibrated.
        positive: (N,), the truth.
        patients: (N,), patient of each case.
        thresholds: between 0 and 1, increasing.
        resamples: of patients.
        seed: of the resampling.
    """
    grid = np.array(thresholds, dtype=np.float64)
    odds = grid / (1 - grid)
    reached = np.searchsorted(grid, score, side="right")  # number of thresholds a case reaches

    def net_benefit(weights: Floats) -> Mapping[float, float]:
        total = weights.sum()
        if not total > 0:
            return dict.fromkeys(thresholds, float("nan"))
        true, false = (
            np.bincount(reached, weights * cases, len(grid) + 1)[::-1].cumsum()[:-1][::-1] / total
            for cases in (positive, ~positive)
        )
        return dict(zip(thresholds, (true - false * odds).tolist(), strict=True))

    intervals = bootstrap(patients, net_benefit, resamples=resamples, seed=seed)
    model, low, high = np.array(list(intervals.values())).T
    prevalence = positive.mean() if len(positive) else np.nan
    return DecisionCurve(grid, model, low, high, prevalence - (1 - prevalence) * odds)
