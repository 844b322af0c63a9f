"""From a predictions table to metrics.json."""

from __future__ import annotations

import math
from typing import Any

from agfnet.evaluation.metrics import METRICS
from agfnet.evaluation.statistics import patient_bootstrap
from agfnet.inference.predictions import Predictions


def evaluate(predictions: Predictions, *, resamples: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Every metric over the labelled cases with its 95 % patient-level bootstrap interval.

    Returns name to `{value, low, high}`, with None where a number is undefined, and `n`, the
    labelled cases: what metrics.json holds. Without labelled cases, `n` alone.
    """
    count = len(predictions.labelled())
    if not count:
        return {"n": 0}
    found = patient_bootstrap(predictions, METRICS, resamples=resamples, seed=seed)
    scores: dict[str, Any] = {
        name: {
            key: number if math.isfinite(number) else None
            for key, number in interval._asdict().items()
        }
        for name, interval in found.items()
    }
    return scores | {"n": count}
