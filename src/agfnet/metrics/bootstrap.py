"""Confidence intervals that resample patients, not lesions.

Lesions of one patient resemble each other, so a bootstrap over lesions gives intervals that are too
narrow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from agfnet.metrics.metric import ROUNDING, Floats, K, Statistics


class Interval(NamedTuple):
    """A value and the ends of its confidence interval; nan where undefined."""

    value: float
    low: float
    high: float


def bootstrap(
    patients: Sequence[str],
    statistics: Statistics[K],
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    centres: Mapping[K, K] | None = None,
) -> dict[K, Interval]:
    """Value and bootstrap interval of each statistic.

    Patients are drawn with replacement, each with all of their cases, and the ends are percentiles
    of the resampled values. Resamples in which a statistic is undefined (only one class drawn) are
    left out. An interval without width is undefined: if all resamples give the same value (one
    patient, no error at all), they tell nothing about other patients. A bootstrap cannot leave the
    data: with few patients, or few errors, its intervals are too narrow.

    Args:
        patients: (N,), patient of each case.
        statistics: function from case weights (N,) to the statistics by name.
        resamples: number of resamples.
        seed: of the resampling.
        level: confidence level.
        centres: statistics that resampling shifts, and the statistic whose value over the cases the
            resampled values estimate. Percentiles can then miss the truth nearly always
            (`bench/coverage.py`). Such an interval is reflected instead (Davison and Hinkley,
            "Bootstrap methods and their application", 1997, section 5.2): the distance of the
            resampled values from the centre is subtracted from the value. It does not go below 0,
            and is widened to contain the value. Names that are not computed are ignored.
    """
    values = statistics(np.ones(len(patients)))
    drawn = [list(statistics(w).values()) for w in patient_draws(patients, resamples, seed)]
    columns = np.array(drawn, dtype=np.float64).reshape(len(drawn), len(values)).T
    intervals = {}
    for (name, value), column in zip(values.items(), columns, strict=True):
        low, high = _percentiles(column, level)
        if not high - low > ROUNDING * (1 + abs(value)):
            low = high = float("nan")
        elif centres and name in centres:
            shift = value + values[centres[name]]
            low, high = min(value, max(0.0, shift - high)), max(value, shift - low)
        intervals[name] = Interval(value, low, high)
    return intervals


def patient_draws(patients: Sequence[str], resamples: int, seed: int) -> Iterator[Floats]:
    """Weights (N,) of each resample: how often the patient of each case was drawn.

    Nothing is drawn from fewer than two patients: copies of one patient say nothing about others.
    """
    rng = np.random.default_rng(seed)
    names, patient = np.unique(np.array(patients, dtype=str), return_inverse=True)
    if len(names) < 2:
        return
    for _ in range(resamples):
        drawn = rng.integers(len(names), size=len(names))
        yield np.bincount(drawn, minlength=len(names))[patient].astype(np.float64)


def _percentiles(drawn: Floats, level: float) -> tuple[float, float]:
    finite = drawn[np.isfinite(drawn)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def to_json(value: Any) -> Any:
    """Convert results to what JSON holds: mappings, lists and numbers, None where undefined.

    A named tuple, such as an `Interval`, is a mapping.
    """
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {name: to_json(item) for name, item in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
