"""Calibration and quality of probabilities: scoring rules, calibration errors, reliability.

Chance differences within a bin raise binned errors, and resampling raises them once more: see
`CENTRES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest

from agfnet.metrics.bootstrap import Interval
from agfnet.metrics.metric import (
    Floats,
    Integers,
    Metric,
    Statistic,
    Statistics,
    mean_of_finite,
    ratio,
    weighted_mean,
)

BINS = 15  # of the calibration errors, as in Guo et al. 2017
BRIER_PARTS = ("brier_reliability", "brier_resolution", "brier_uncertainty")
SQUARED = ("squared_error_debiased", "squared_error")
"""Squared calibration error in equal-mass bins, with and without its noise subtracted."""

CENTRES = {name: name for name in ("ece", "ece_equal_mass", "classwise_ece", *BRIER_PARTS)} | dict(
    [SQUARED]
)
"""Statistics that resampling shifts, and the statistic whose value over the cases the resampled
values estimate (often the same one): the `centres` of `bootstrap`."""


@Metric
def nll(probabilities: Floats, target: Integers) -> Statistic:
    """Mean negative log-likelihood (natural log) of the true class; floored at 2.2e-16."""
    true = probabilities[np.arange(len(target)), target]
    return weighted_mean(-np.log(np.maximum(true, np.finfo(np.float64).eps)))


@Metric
def brier(probabilities: Floats, target: Integers) -> Statistic:
    """Mean over cases of the squared error summed over all classes, from 0 to 2 (Brier 1950)."""
    truth = np.eye(probabilities.shape[1])[target]
    return weighted_mean(((probabilities - truth) ** 2).sum(axis=1))


@Metric
def ece(probabilities: Floats, target: Integers) -> Statistic:
    """Expected calibration error of the predicted class, 15 bins of equal width.

    The mean over bins of the distance between confidence and accuracy. In small samples it is well
    above 0 even for a perfectly calibrated network: see `ece_by_chance`. Guo et al., "On
    calibration of modern neural networks", ICML 2017.
    """
    confidence, gap = _confidence_and_gap(probabilities, target)
    bins = width_bins(confidence)
    return lambda weights: ratio(np.abs(np.bincount(bins, weights * gap)).sum(), weights.sum())


def ece_by_chance(probabilities: Floats, *, draws: int = 1000, seed: int = 0) -> Interval:
    """ECE that a perfectly calibrated network with these probabilities would have.

    The predicted class of each case is drawn to be right with a probability that equals its
    confidence: the consistency resampling of Bröcker and Smith, Weather and Forecasting 22:651-661,
    2007. The cases are drawn independently, so that the values are too low if lesions of a patient
    resemble each other.

    Args:
        probabilities: (N, C).
        draws: number of draws.
        seed: seed of the draws.

    Returns:
        The mean of `ece` over the draws and its central 95 %; nan without cases.
    """
    confidence = probabilities.max(axis=1)
    if not len(confidence):
        return Interval(*[float("nan")] * 3)
    bins, rng = width_bins(confidence), np.random.default_rng(seed)
    drawn = [
        np.abs(np.bincount(bins, confidence - (rng.random(len(bins)) < confidence))).sum()
        for _ in range(draws)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975]) / len(bins)
    return Interval(float(np.mean(drawn)) / len(bins), float(low), float(high))


@Metric
def ece_equal_mass(probabilities: Floats, target: Integers) -> Statistic:
    """Expected calibration error of the predicted class, 15 bins with equally many cases.

    Nixon et al., "Measuring calibration in deep learning", CVPR workshops 2019. Bins of equal width
    put most cases of a confident network into one bin.
    """
    confidence, gap = _confidence_and_gap(probabilities, target)
    order, bin_of = mass_bins(confidence)
    gap = gap[order]

    def weighted(weights: Floats) -> float:
        sums = np.bincount(bin_of(weights), weights[order] * gap, BINS)
        return ratio(np.abs(sums).sum(), weights.sum())

    return weighted


def squared_errors(probabilities: Floats, target: Integers) -> Statistics[str]:
    """Squared calibration error of the predicted class in 15 equal-mass bins, under two names.

    `squared_error` is the mean squared gap. For `squared_error_debiased` the variance of each bin's
    gap is subtracted, as in Kumar, Liang and Ma, "Verified uncertainty calibration", NeurIPS 2019;
    here with the variance of confidence minus correctness, so that the result is also unbiased when
    confidences differ within a bin. It may be below 0. Bins of one case have no variance and are
    left out.
    """
    confidence, gap = _confidence_and_gap(probabilities, target)
    order, bin_of = mass_bins(confidence)
    gap = gap[order]

    def weighted(weights: Floats) -> Mapping[str, float]:
        ranked, bins = weights[order], bin_of(weights)
        cases = np.bincount(bins, ranked, BINS)
        kept = cases > 1
        cases = cases[kept]
        sums = np.bincount(bins, ranked * gap, BINS)[kept]
        squares = np.bincount(bins, ranked * gap**2, BINS)[kept]
        debiased = (sums**2 - squares) / (cases - 1)  # (mean**2 - variance / n) n
        both = (debiased, sums**2 / cases)
        return {
            name: ratio(part.sum(), cases.sum()) for name, part in zip(SQUARED, both, strict=True)
        }

    return weighted


def root(square: float) -> float:
    """Square root of an estimate of a square: 0 below 0, nan where undefined."""
    return float(np.sqrt(max(0.0, square))) if np.isfinite(square) else float("nan")


def class_ece(probabilities: Floats, target: Integers) -> Statistics[int]:
    """Calibration error of each class's probability, by class index; 15 bins of equal width."""
    gap = probabilities - np.eye(probabilities.shape[1])[target]
    columns = [
        (width_bins(column), difference)
        for column, difference in zip(probabilities.T, gap.T, strict=True)
    ]
    return lambda weights: {
        c: ratio(np.abs(np.bincount(bins, weights * difference)).sum(), weights.sum())
        for c, (bins, difference) in enumerate(columns)
    }


def brier_parts(probabilities: Floats, target: Integers) -> Statistics[str]:
    """Brier score in three parts: brier = reliability - resolution + uncertainty.

    Murphy, J Appl Meteorol 12:595-600, 1973, for each class against the rest in 15 equal-mass bins
    of its probability, summed over classes. Probabilities differ within a bin; what that adds
    (within-bin variance and covariance) is counted to the resolution, as in Stephenson, Coelho and
    Jolliffe, Weather Forecast 23:752-757, 2008, so that the three parts sum to the score exactly.
    """
    columns = []
    for c, column in enumerate(probabilities.T):
        order, bin_of = mass_bins(column)
        columns.append((order, bin_of, column[order], (target[order] == c).astype(np.float64)))

    def weighted(weights: Floats) -> Mapping[str, float]:
        total = weights.sum()
        if not total > 0:
            return dict.fromkeys(BRIER_PARTS, float("nan"))
        reliability = uncertainty = score = 0.0
        for order, bin_of, stated, true in columns:
            ranked, bins = weights[order], bin_of(weights)
            cases = np.bincount(bins, ranked, BINS)
            gap = np.bincount(bins, ranked * (stated - true), BINS)
            filled = cases > 0
            reliability += float((gap[filled] ** 2 / cases[filled]).sum() / total)
            frequency = float(ranked @ true / total)
            uncertainty += frequency * (1 - frequency)
            score += float(ranked @ (stated - true) ** 2 / total)
        values = (reliability, reliability + uncertainty - score, uncertainty)
        return dict(zip(BRIER_PARTS, values, strict=True))

    return weighted


def certainty(probabilities: Floats, target: Integers) -> Statistics[str]:
    """Calibration metrics beyond those of `summary.METRICS`, and the SQUARED errors.

    `ece_debiased` is the root of the debiased squared error, 0 where that is below 0. As a root
    mean square it is, apart from noise, not below the mean distance `ece_equal_mass`.
    `classwise_ece` (Kull et al., "Beyond temperature scaling", NeurIPS 2019) is the mean over
    classes of `class_ece`: rare classes nearly always get a small probability, and keep it small.
    """
    equal_mass = ece_equal_mass.prepare(probabilities, target)
    squared = squared_errors(probabilities, target)
    by_class = class_ece(probabilities, target)
    parts = brier_parts(probabilities, target)

    def weighted(weights: Floats) -> Mapping[str, float]:
        squares = squared(weights)
        return {
            "ece_equal_mass": equal_mass(weights),
            "ece_debiased": root(squares[SQUARED[0]]),
            "classwise_ece": mean_of_finite(np.array(list(by_class(weights).values()))),
            **parts(weights),
            **squares,
        }

    return weighted


class Reliability(NamedTuple):
    """Confidence against accuracy, each (bins,); nan in empty bins except for `cases`."""

    cases: Floats  # number of cases in the bin
    confidence: Floats  # mean confidence
    accuracy: Floats  # fraction of correct predictions
    low: Floats  # 95 % Wilson interval of the accuracy, cases as independent
    high: Floats


def reliability(probabilities: Floats, target: Integers, bins: int = 10) -> Reliability:
    """Reliability diagram of the predicted class, in bins of equal width."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == target
    bin_of = width_bins(confidence, bins)
    cases = np.bincount(bin_of, minlength=bins)
    hits = np.bincount(bin_of[right], minlength=bins)
    intervals = [
        binomtest(k, n).proportion_ci(method="wilson") if n else (np.nan, np.nan)
        for k, n in zip(hits.tolist(), cases.tolist(), strict=True)
    ]
    low, high = np.array(intervals, dtype=np.float64).T
    filled = np.where(cases > 0, cases, np.nan)
    mean_confidence = np.bincount(bin_of, confidence, bins) / filled
    return Reliability(cases.astype(np.float64), mean_confidence, hits / filled, low, high)


def width_bins(confidence: Floats, bins: int = BINS) -> Integers:
    """Bin (N,) of each confidence: bin b holds those in (b / bins, (b + 1) / bins]."""
    edges = np.linspace(0, 1, bins + 1)
    return np.searchsorted(edges[1:-1], confidence, side="left")


def mass_bins(values: Floats, bins: int = BINS) -> tuple[Integers, Callable[[Floats], Integers]]:
    """Bins with equally many cases; equal values share a bin.

    Returns:
        The order (N,) that sorts the values, and a function from weights (N,) to the bin of each
        case in that order. A run of equal values goes into the bin of its middle.
    """
    order = np.argsort(values, kind="stable")
    last = np.flatnonzero(np.diff(values[order], append=np.inf))
    sizes = np.diff(last, prepend=-1)

    def weighted(weights: Floats) -> Integers:
        ends = np.cumsum(weights[order])[last]
        total = ends[-1] if len(ends) else 0
        if not total > 0:
            return np.zeros(len(values), dtype=np.int64)
        doubled = ends + np.concatenate(([0.0], ends[:-1]))
        run_bin = np.minimum(doubled * bins // (2 * total), bins - 1).astype(np.int64)
        return np.repeat(run_bin, sizes)

    return order, weighted


def _confidence_and_gap(probabilities: Floats, target: Integers) -> tuple[Floats, Floats]:
    """Confidence (N,) of the predicted class, and confidence minus correctness (N,)."""
    confidence = probabilities.max(axis=1)
    return confidence, confidence - (probabilities.argmax(axis=1) == target)
