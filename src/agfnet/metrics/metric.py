"""Metrics as functions of case weights, which is how the bootstrap resamples without copying rows.

Every `Metric` takes probabilities (N, C), target (N,) as class indices, and optionally weights
(N,): a case of weight k counts as k copies of itself. Work that does not depend on the weights,
above all sorting, is done once in `Metric.prepare`. Averages over classes ("macro") leave out the
classes that the target does not contain, so that a resample without a rare class is still scored.
Without cases a metric is nan.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import update_wrapper
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

K = TypeVar("K", bound=Hashable)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]
Statistic = Callable[[Floats], float]
"""A number as a function of the case weights (N,)."""
Statistics = Callable[[Floats], Mapping[K, float]]
"""Several numbers, computed together, as a function of the case weights (N,)."""


ROUNDING = 1e-12
"""Relative difference below which values are equal: rounding errors are no variance."""


class Metric:
    """A number for (probabilities, target) that is quickly recomputed under other case weights."""

    def __init__(self, prepare: Callable[[Floats, Integers], Statistic]) -> None:
        self._prepare = prepare
        update_wrapper(self, prepare)

    def prepare(self, probabilities: Floats, target: Integers) -> Statistic:
        """Return the metric as a function of the weights (N,) alone.

        Args:
            probabilities: (N, C), finite.
            target: (N,), from 0 to C - 1; drop unlabelled rows first.

        Raises:
            ValueError: the shapes contradict each other or a value is out of range.
        """
        probabilities = np.asarray(probabilities, dtype=np.float64)
        target = np.asarray(target, dtype=np.int64)
        if probabilities.ndim != 2 or target.shape != probabilities.shape[:1]:
            raise ValueError(
                f"probabilities are {probabilities.shape} and target {target.shape}, "
                "expected (N, C) and (N,)"
            )
        if not np.isfinite(probabilities).all():
            raise ValueError("probabilities contain nan or infinity, expected finite numbers")
        if not ((target >= 0) & (target < probabilities.shape[1])).all():
            raise ValueError(f"target must be from 0 to {probabilities.shape[1] - 1}")
        return self._prepare(probabilities, target)

    def __call__(
        self, probabilities: Floats, target: Integers, weights: Floats | None = None
    ) -> float:
        """Return the value, each case counted `weights` times (once if None)."""
        statistic = self.prepare(probabilities, target)
        if weights is None:
            return statistic(np.ones(len(target)))
        return statistic(np.asarray(weights, dtype=np.float64))


def together(statistics: Mapping[K, Statistic]) -> Statistics[K]:
    """Combine single statistics into one function that returns them by name."""
    return lambda weights: {name: statistic(weights) for name, statistic in statistics.items()}


def joined(*parts: Statistics[K]) -> Statistics[K]:
    """Combine functions that return several statistics into one; names must differ."""
    return lambda weights: {name: value for part in parts for name, value in part(weights).items()}


def ratio(part: Any, whole: Any) -> float:
    """Divide; nan unless the denominator is above 0."""
    return float(part / whole) if whole > 0 else float("nan")


def divide(part: Floats, whole: Floats) -> Floats:
    """Divide element by element; nan where the denominator is not above 0."""
    return np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)


def mean_of_finite(values: Floats) -> float:
    """Mean of the finite values; nan if there is none."""
    finite = values[np.isfinite(values)]
    return ratio(finite.sum(), len(finite))


def weighted_mean(values: Booleans | Floats) -> Statistic:
    """Mean of the values (N,) that are finite, as a function of the weights."""
    rows = values.astype(np.float64)
    if np.isfinite(rows).all():
        return lambda weights: ratio(weights @ rows, weights.sum())
    known = np.isfinite(rows)
    return lambda weights: ratio(weights[known] @ rows[known], weights[known].sum())
