"""Intervals of the numbers in the result files: the bootstrap over patients, without its bias."""

from __future__ import annotations

from collections.abc import Mapping

from agfnet.inference.predictions import Predictions
from agfnet.metrics.bootstrap import Interval, patient_bootstrap
from agfnet.metrics.summary import Metric


def intervals(
    predictions: Predictions, metrics: Mapping[str, Metric], *, resamples: int, seed: int
) -> dict[str, Interval]:
    """Value and 95 % interval of each metric over the labelled cases.

    The ends are percentiles of the resampled values. A metric with a `centre` is shifted by chance
    differences within its bins, and by resampling once more, so that percentiles can miss the truth
    nearly always (`bench/coverage.py`). Its interval is the reflected one instead (Davison and
    Hinkley, "Bootstrap methods and their application", 1997, section 5.2): how far resampled values
    lie from the centre is taken off the value. It does not go below 0, and is widened to hold the
    value where that would lie outside.
    """
    cases = predictions.labelled()
    target = cases.target
    found = patient_bootstrap(cases, metrics, resamples=resamples, seed=seed)
    for name, metric in metrics.items():
        if metric.centre is not None:
            value, low, high = found[name]
            shift = value + metric.centre(cases.probabilities, target)
            found[name] = Interval(
                value, min(value, max(0.0, shift - high)), max(value, shift - low)
            )
    return found
