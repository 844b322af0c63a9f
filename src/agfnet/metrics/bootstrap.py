"""How sure the numbers are: intervals and comparisons that resample patients, not lesions.

Lesions of one patient resemble each other, so that a bootstrap over lesions promises too much.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtri

from agfnet.errors import DataError
from agfnet.inference.predictions import Predictions
from agfnet.metrics.summary import Floats, Metric


class Interval(NamedTuple):
    """A value and the ends of its interval; nan where it cannot be computed."""

    value: float
    low: float
    high: float


class Comparison(NamedTuple):
    """A difference, the ends of its interval, and the two-sided p of no difference."""

    value: float
    low: float
    high: float
    p: float


def patient_bootstrap(
    predictions: Predictions,
    metrics: Mapping[str, Metric],
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Value and percentile interval of each metric over the labelled cases.

    Patients are drawn with replacement, each with all its lesions. Resamples in which a metric is
    undefined (only one class drawn) are left out. A bootstrap cannot leave the data: with few
    patients, or none wrong, its intervals are too narrow. Resampling raises `ece`, so that its
    interval lies too high, in well calibrated networks above the true value.
    """
    cases = predictions.labelled()
    target = cases.target
    weighted = [metric.prepare(cases.probabilities, target) for metric in metrics.values()]
    draws = patient_draws(cases, resamples, seed)
    drawn = np.array([[score(weights) for score in weighted] for weights in draws])
    values = [score(np.ones(len(cases))) for score in weighted]
    return {
        name: Interval(value, *_percentiles(drawn[:, column], level))
        for column, (name, value) in enumerate(zip(metrics, values, strict=True))
    }


def paired_bootstrap(
    a: Predictions,
    b: Predictions,
    metric: Metric,
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Comparison:
    """Difference of a metric, a minus b, where both judged the same labelled lesions.

    Both see the same draws of patients. p is twice the smaller share of draws on one side of
    zero, draws of exactly zero counted on both, one added to either count so that it is never 0.

    Raises:
        DataError: lesions, patients, labels or classes of the two tables differ.
    """
    a, b = a.labelled(), b.labelled()
    b = aligned(a, b)
    target = a.target
    first, second = (metric.prepare(table.probabilities, target) for table in (a, b))
    drawn = np.array([first(w) - second(w) for w in patient_draws(a, resamples, seed)])
    ones = np.ones(len(a))
    finite = drawn[np.isfinite(drawn)]
    tail = min((finite <= 0).sum(), (finite >= 0).sum())
    return Comparison(
        first(ones) - second(ones),
        *_percentiles(drawn, level),
        p=min(1.0, 2 * float(tail + 1) / (len(finite) + 1)),
    )


def wilson(successes: Floats, trials: Floats, level: float = 0.95) -> tuple[Floats, Floats]:
    """Ends of the Wilson score interval of a share, for independent cases; nan without trials."""
    z2 = float(ndtri((1 + level) / 2)) ** 2
    n = np.where(trials > 0, trials, np.nan)
    centre = (successes + z2 / 2) / (n + z2)
    half = np.sqrt(z2 * (successes * (n - successes) / n + z2 / 4)) / (n + z2)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def patient_draws(cases: Predictions, resamples: int, seed: int) -> Iterator[Floats]:
    """Weights (N,) of each resample: how often the patient of each case was drawn."""
    rng = np.random.default_rng(seed)
    names, patient = np.unique(np.array(cases.patient_id, dtype=str), return_inverse=True)
    for _ in range(resamples):
        drawn = rng.integers(max(len(names), 1), size=len(names))
        yield np.bincount(drawn, minlength=len(names))[patient].astype(np.float64)


def _percentiles(drawn: Floats, level: float) -> tuple[float, float]:
    finite = drawn[np.isfinite(drawn)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def aligned(a: Predictions, b: Predictions) -> Predictions:
    """The rows and columns of b in the order of a.

    Raises:
        DataError: lesions, patients, labels or classes of the two tables differ.
    """
    if set(a.classes) != set(b.classes):
        raise DataError(
            f"the two tables name different classes: {', '.join(a.classes)} and "
            f"{', '.join(b.classes)}; compare predictions of the same classes"
        )
    row = {lesion: index for index, lesion in enumerate(b.lesion_id)}
    alone = sorted(set(a.lesion_id) ^ set(b.lesion_id))
    if alone:
        raise DataError(
            f"{len(alone)} labelled lesions are in one table only, first {alone[0]!r}; "
            "compare predictions of the same cases"
        )
    b = b.select([row[lesion] for lesion in a.lesion_id])
    for name in ("patient_id", "label"):
        for lesion, ours, theirs in zip(
            a.lesion_id, getattr(a, name), getattr(b, name), strict=True
        ):
            if ours != theirs:
                raise DataError(
                    f"lesion {lesion!r}, column {name}: {ours!r} in one table and {theirs!r} in "
                    "the other; score both against the same cases table"
                )
    columns = [b.classes.index(name) for name in a.classes]
    return Predictions(
        classes=a.classes,
        lesion_id=a.lesion_id,
        patient_id=a.patient_id,
        label=a.label,
        probabilities=b.probabilities[:, columns],
    )


def plain(value: Any) -> Any:
    """The same as JSON holds it: mappings and lists, with None for what is undefined."""
    if isinstance(value, Interval):
        return {name: plain(number) for name, number in value._asdict().items()}
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
