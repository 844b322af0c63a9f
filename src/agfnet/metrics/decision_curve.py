"""Decision curves: whether acting on the network would do more good than acting on all or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from agfnet.inference.predictions import Predictions
from agfnet.metrics.bootstrap import patient_bootstrap
from agfnet.metrics.operating_points import grouped
from agfnet.metrics.summary import Floats, Integers, entries

THRESHOLDS = tuple(round(0.01 * step, 2) for step in range(1, 100))


class DecisionCurve(NamedTuple):
    """Net benefit per case at each threshold, each (T,); that of treating nobody is 0."""

    threshold: Floats  # probability from which one would act
    model: Floats  # acting where the network states at least that probability
    low: Floats  # its interval
    high: Floats
    treat_all: Floats  # acting on everybody


def decision_curve(
    predictions: Predictions,
    names: Sequence[str],
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> DecisionCurve:
    """Net benefit of acting on a group of classes, over the labelled cases.

    Vickers and Elkin, Med Decis Making 26:565-574, 2006: true positives per case less false
    positives per case, these weighted by the odds t / (1 - t) of the threshold, which says how many
    needless actions one missed case is worth. The band holds threshold by threshold, not for the
    curve as a whole.

    Args:
        predictions: the table; probabilities must be calibrated for the curve to mean anything.
        names: classes to act on; their probabilities are summed.
        thresholds: between 0 and 1, rising.
        resamples: of patients.
        seed: of the resampling.
        level: of the band.

    Raises:
        ConfigError: a name that is no class, or all classes.
    """
    cases = grouped(predictions, names).labelled()
    grid = np.array(thresholds, dtype=np.float64)
    odds = grid / (1 - grid)

    def prepare(probabilities: Floats, target: Integers) -> Callable[[Floats], Floats]:
        # how many thresholds a case reaches
        reached = np.searchsorted(grid, probabilities[:, 1], side="right")

        def weighted(weights: Floats) -> Floats:
            total = weights.sum()
            if not total > 0:
                return np.full(len(grid), np.nan)
            gains = [
                np.bincount(reached, weights * (target == kind), len(grid) + 1)[::-1].cumsum()
                for kind in (1, 0)
            ]
            true, false = (gain[:-1][::-1] / total for gain in gains)
            return true - false * odds

        return weighted

    metrics = entries([f"{value:g}" for value in thresholds], prepare)
    found = patient_bootstrap(cases, metrics, resamples=resamples, seed=seed, level=level)
    model, low, high = np.array(list(found.values())).T
    prevalence = (cases.target == 1).mean() if len(cases) else np.nan
    return DecisionCurve(grid, model, low, high, prevalence - (1 - prevalence) * odds)
