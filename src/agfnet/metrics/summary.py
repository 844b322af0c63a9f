"""What a predictions table is worth, in single numbers.

Every `Metric` takes probabilities (N, C), target (N,) as class indices, and optionally weights
(N,): a case of weight k counts as k copies of itself, which is how the bootstrap resamples
without copying. What does not depend on the weights, above all sorting, is done once in
`Metric.prepare`. Averages over classes ("macro") leave out the classes that the target does not
hold, so that a resample that misses a rare class is still scored. Without cases a metric is nan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import update_wrapper
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import digamma

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Weighted = Callable[[Floats], float]  # weights (N,) to the value of the metric

BINS = 15  # of the calibration error, as in Guo et al. 2017


class Metric:
    """A number for (probabilities, target), quickly recomputed under other case weights.

    Attributes:
        centre: where resampling shifts the metric, the one whose value on the cases the resampled
            values estimate (often itself); see `agfnet.metrics.intervals`.
    """

    centre: Metric | None = None

    def __init__(self, prepare: Callable[[Floats, Integers], Weighted]) -> None:
        self._prepare = prepare
        update_wrapper(self, prepare)

    def prepare(self, probabilities: Floats, target: Integers) -> Weighted:
        """The metric as a function of the weights (N,) alone.

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
            raise ValueError("probabilities hold nan or infinity")
        if not ((target >= 0) & (target < probabilities.shape[1])).all():
            raise ValueError(f"target must be from 0 to {probabilities.shape[1] - 1}")
        return self._prepare(probabilities, target)

    def __call__(
        self, probabilities: Floats, target: Integers, weights: Floats | None = None
    ) -> float:
        """The value, each case counted `weights` times (once if None)."""
        weighted = self.prepare(probabilities, target)
        if weights is None:
            return weighted(np.ones(len(target)))
        return weighted(np.asarray(weights, dtype=np.float64))


def entries(
    names: Iterable[str],
    prepare: Callable[[Floats, Integers], Callable[[Floats], Floats]],
    shifted: Iterable[str] = (),
) -> dict[str, Metric]:
    """Metrics that are the entries of one vector, computed once per table and weights for all.

    Args:
        names: of the entries, in order.
        prepare: as that of a `Metric`, but to a vector with as many entries as names. A bootstrap
            must give every resample an array of its own: the last one is known by its identity.
        shifted: names of the entries that are their own `centre`.
    """
    vector = _remember(lambda probabilities, target: _remember(prepare(probabilities, target)))

    def entry(place: int) -> Metric:
        def chosen(probabilities: Floats, target: Integers) -> Weighted:
            weighted = vector(probabilities, target)
            return lambda weights: float(weighted(weights)[place])

        return Metric(chosen)

    found = {name: entry(place) for place, name in enumerate(names)}
    for name in shifted:
        found[name].centre = found[name]
    return found


class Rates(NamedTuple):
    """Per class, each (C,); nan where nothing is there to be counted."""

    cases: Floats  # how many belong to the class
    sensitivity: Floats  # of the cases of the class, those called so
    specificity: Floats  # of the other cases, those not called so
    precision: Floats  # of the cases called so, those of the class (PPV)
    npv: Floats  # of the cases not called so, those not of the class
    f1: Floats


def confusion(probabilities: Floats, target: Integers) -> Floats:
    """How often each class (C, rows) was called each class (C, columns)."""
    return count_answers(probabilities, target)(np.ones(len(target)))


def rates(counts: Floats) -> Rates:
    """Per-class rates of a confusion matrix (C, C)."""
    true, called, right = counts.sum(axis=1), counts.sum(axis=0), counts.diagonal()
    rest = counts.sum() - true
    return Rates(
        cases=true,
        sensitivity=_divide(right, true),
        specificity=_divide(rest - (called - right), rest),
        precision=_divide(right, called),
        npv=_divide(rest - (called - right), counts.sum() - called),
        f1=_divide(2 * right, true + called),
    )


def class_auc(probabilities: Floats, target: Integers) -> Floats:
    """Area under the ROC curve of each class against the rest (C,); nan without both."""
    weights = np.ones(len(target))
    columns = range(probabilities.shape[1])
    return np.array([area_under_roc(probabilities[:, c], target == c)(weights) for c in columns])


@Metric
def accuracy(probabilities: Floats, target: Integers) -> Weighted:
    """Share of cases whose most probable class is the true one."""
    return mean(probabilities.argmax(axis=1) == target)


@Metric
def balanced_accuracy(probabilities: Floats, target: Integers) -> Weighted:
    """Mean over classes of the sensitivity: every class counts the same, however rare."""
    return _macro(probabilities, target, lambda found: found.sensitivity)


@Metric
def macro_f1(probabilities: Floats, target: Integers) -> Weighted:
    """Mean over classes of F1, the harmonic mean of sensitivity and precision."""
    return _macro(probabilities, target, lambda found: found.f1)


@Metric
def macro_auc(probabilities: Floats, target: Integers) -> Weighted:
    """Mean over classes of the area under the one-vs-rest ROC curve; equal scores count half.

    Classes without a positive or without a negative case are left out.
    """
    areas = [area_under_roc(column, target == c) for c, column in enumerate(probabilities.T)]

    def weighted(weights: Floats) -> float:
        return mean_of_finite(np.array([area(weights) for area in areas]))

    return weighted


@Metric
def macro_sensitivity(probabilities: Floats, target: Integers) -> Weighted:
    """Mean over classes of the sensitivity: by definition the balanced accuracy."""
    return _macro(probabilities, target, lambda found: found.sensitivity)


@Metric
def macro_specificity(probabilities: Floats, target: Integers) -> Weighted:
    """Mean over classes of the specificity."""
    return _macro(probabilities, target, lambda found: found.specificity)


@Metric
def nll(probabilities: Floats, target: Integers) -> Weighted:
    """Mean negative log-likelihood (natural log) of the true class; floored at 2.2e-16."""
    true = probabilities[np.arange(len(target)), target]
    return mean(-np.log(np.maximum(true, np.finfo(np.float64).eps)))


@Metric
def brier(probabilities: Floats, target: Integers) -> Weighted:
    """Mean over cases of the squared error summed over all classes, from 0 to 2 (Brier 1950)."""
    truth = np.eye(probabilities.shape[1])[target]
    return mean(((probabilities - truth) ** 2).sum(axis=1))


@Metric
def ece(probabilities: Floats, target: Integers) -> Weighted:
    """Expected calibration error of the top label, 15 bins of equal width.

    The mean distance between confidence and accuracy, taken bin by bin. In small samples it is
    well above 0 even for a perfectly calibrated network. Guo et al., "On calibration of modern
    neural networks", ICML 2017.
    """
    confidence = probabilities.max(axis=1)
    gap = confidence - (probabilities.argmax(axis=1) == target)
    bins = confidence_bin(confidence, BINS)

    def weighted(weights: Floats) -> float:
        return ratio(np.abs(np.bincount(bins, weights * gap)).sum(), weights.sum())

    return weighted


ece.centre = ece


@Metric
def aurc(probabilities: Floats, target: Integers) -> Weighted:
    """Area under the risk-coverage curve: mean error rate over all coverages, lower is better.

    Cases are accepted from the most to the least confident; cases of equal confidence in random
    order, of which this is the expected value. Geifman, Uziel and El-Yaniv, "Bias-reduced
    uncertainty estimation for deep neural classifiers", ICLR 2019.
    """
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence)
    wrong = (probabilities.argmax(axis=1) != target)[order]
    last = np.flatnonzero(np.diff(confidence[order], append=-1))  # of each run of equals

    def weighted(weights: Floats) -> float:
        ranked = weights[order]
        cases = np.cumsum(ranked)[last]
        errors = np.cumsum(ranked * wrong)[last]
        run, run_errors = np.diff(cases, prepend=0), np.diff(errors, prepend=0)
        # A run of m cases with error rate r after n cases with e errors adds the sum over
        # j = 1..m of (e + j r) / (n + j) = m r + (e - r n) (H(n + m) - H(n)), H harmonic.
        harmonic = np.diff(digamma(cases + 1), prepend=digamma(1))
        rate = run_errors / np.where(run > 0, run, 1)
        area = run_errors + (errors - run_errors - rate * (cases - run)) * harmonic
        return ratio(area.sum(), weights.sum())

    return weighted


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
"""Names in METRICS; of all others more is better."""


def confidence_bin(confidence: Floats, bins: int) -> Integers:
    """Bin (N,) of each confidence: bin b holds those in (b / bins, (b + 1) / bins]."""
    edges = np.linspace(0, 1, bins + 1)
    return np.searchsorted(edges[1:-1], confidence, side="left")


def ratio(part: Any, whole: Any) -> float:
    """A share; nan of nothing."""
    return float(part / whole) if whole > 0 else float("nan")


def _divide(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)


def mean_of_finite(values: Floats) -> float:
    """Mean of the values that are defined."""
    kept = values[np.isfinite(values)]
    return ratio(kept.sum(), len(kept))


def mean(values: npt.NDArray[np.bool_] | Floats) -> Weighted:
    """The mean of values (N,) under weights."""
    rows = values.astype(np.float64)
    return lambda weights: ratio(weights @ rows, weights.sum())


def _macro(probabilities: Floats, target: Integers, choose: Callable[[Rates], Floats]) -> Weighted:
    counts = count_answers(probabilities, target)

    def weighted(weights: Floats) -> float:
        found = rates(counts(weights))
        return mean_of_finite(choose(found)[found.cases > 0])

    return weighted


def count_answers(probabilities: Floats, target: Integers) -> Callable[[Floats], Floats]:
    """The confusion matrix (C, C), rows the truth, under weights."""
    classes = probabilities.shape[1]
    cell = target * classes + probabilities.argmax(axis=1)

    def weighted(weights: Floats) -> Floats:
        counts = np.bincount(cell, weights, classes**2).astype(np.float64)
        return counts.reshape(classes, classes)

    return weighted


def area_under_roc(score: Floats, positive: npt.NDArray[np.bool_]) -> Weighted:
    """Area under the ROC curve of a score (N,); equal scores count half."""
    order = np.argsort(score)
    positives = np.flatnonzero(positive)
    first = np.searchsorted(score[order], score[positives], side="left")
    last = np.searchsorted(score[order], score[positives], side="right")

    def weighted(weights: Floats) -> float:
        below = np.concatenate(([0.0], np.cumsum(weights[order])))
        mine = weights[positives]
        total = mine.sum()
        # Mid-ranks (Mann-Whitney); pairs of two positives add total**2 / 2 and are taken off.
        wins = mine @ (below[first] + below[last]) / 2 - total**2 / 2
        return ratio(wins, total * (below[-1] - total))

    return weighted


def _remember(function: Callable[..., Any]) -> Callable[..., Any]:
    """Answers a repeated call with the very same arguments from memory; keeps one answer."""
    last: tuple[tuple[object, ...], Any] | None = None

    def remembering(*arguments: object) -> Any:
        nonlocal last
        found = last
        if found is None or any(a is not b for a, b in zip(arguments, found[0], strict=True)):
            last = found = arguments, function(*arguments)
        return found[1]

    return remembering
