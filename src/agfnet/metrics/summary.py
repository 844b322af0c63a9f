"""The standard table of metrics: the names that `metrics.json` always has."""

from __future__ import annotations

import math
from collections.abc import Iterable

from agfnet.metrics.calibration import brier, ece, nll
from agfnet.metrics.discrimination import (
    accuracy,
    balanced_accuracy,
    macro_auc,
    macro_f1,
    macro_sensitivity,
    macro_specificity,
)
from agfnet.metrics.metric import Floats, Integers, Metric, Statistics, together
from agfnet.metrics.risk_coverage import aurc

METRICS: dict[str, Metric] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
    "macro_auc": macro_auc,
    "macro_sensitivity": macro_sensitivity,
    "macro_specificity": macro_specificity,
    "nll": nll,
    "brier": brier,
    "ece": ece,
    "aurc": aurc,
}

LOWER_IS_BETTER = frozenset({"nll", "brier", "ece", "aurc"})
"""Names in METRICS of which smaller values are better."""

HIGHEST = {"nll": math.inf, "brier": 2.0}
"""Highest value of a metric; 1 for all others."""


def summary(
    probabilities: Floats, target: Integers, names: Iterable[str] = tuple(METRICS)
) -> Statistics[str]:
    """Prepare METRICS of the same cases as one function of the case weights (N,).

    Args:
        probabilities: (N, C).
        target: (N,), from 0 to C - 1.
        names: of the metrics.
    """
    return together({name: METRICS[name].prepare(probabilities, target) for name in names})
