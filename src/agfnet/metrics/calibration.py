"""How far stated probabilities can be trusted, beyond the numbers that `metrics` always has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from agfnet.metrics.summary import (
    BINS,
    Floats,
    Integers,
    Metric,
    Weighted,
    confidence_bin,
    entries,
    mean_of_finite,
    ratio,
)


def mass_bins(values: Floats, bins: int = BINS) -> tuple[Integers, Callable[[Floats], Integers]]:
    """Bins that hold equal shares of the cases, equal values never parted.

    Returns:
        The order (N,) that sorts the values, and a function from weights (N,) to the bin of each
        case in that order. A run of equal values goes where its middle lies.
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
        place = np.minimum(doubled * bins // (2 * total), bins - 1).astype(np.int64)
        return np.repeat(place, sizes)

    return order, weighted


@Metric
def ece_equal_mass(probabilities: Floats, target: Integers) -> Weighted:
    """Expected calibration error of the top label, 15 bins with equally many cases.

    Nixon et al., "Measuring calibration in deep learning", CVPR workshops 2019. Bins of equal width
    leave most cases of a confident network in one bin.
    """
    confidence, gap = _top(probabilities, target)
    order, place = mass_bins(confidence)
    gap = gap[order]

    def weighted(weights: Floats) -> float:
        sums = np.bincount(place(weights), weights[order] * gap, BINS)
        return ratio(np.abs(sums).sum(), weights.sum())

    return weighted


ece_equal_mass.centre = ece_equal_mass


def squared_gaps(probabilities: Floats, target: Integers) -> Callable[[Floats], Floats]:
    """Squared calibration error of the top label in 15 equal-mass bins (2,): debiased, and plain.

    From the squared gap of each bin its variance is subtracted, as in Kumar, Liang and Ma,
    "Verified uncertainty calibration", NeurIPS 2019; here with the variance of confidence minus
    correctness, so that the result is unbiased when confidences differ within a bin too. It may
    come out below 0. Bins of one case have no variance and are left out.
    """
    confidence, gap = _top(probabilities, target)
    order, place = mass_bins(confidence)
    gap = gap[order]

    def weighted(weights: Floats) -> Floats:
        ranked, bins = weights[order], place(weights)
        cases = np.bincount(bins, ranked, BINS)
        kept = cases > 1
        cases = cases[kept]
        sums = np.bincount(bins, ranked * gap, BINS)[kept]
        squares = np.bincount(bins, ranked * gap**2, BINS)[kept]
        unbiased = (sums**2 - squares) / (cases - 1)  # (mean**2 - variance / n) n
        return np.array([ratio(part.sum(), cases.sum()) for part in (unbiased, sums**2 / cases)])

    return weighted


SQUARED = entries(("debiased", "plain"), squared_gaps)
SQUARED["debiased"].centre = SQUARED["plain"]


@Metric
def ece_debiased(probabilities: Floats, target: Integers) -> Weighted:
    """Root of the debiased squared calibration error of the top label (see `squared_gaps`).

    A root mean square, so that but for the noise it is not below the mean distance that
    `ece_equal_mass` is. Below 0 counts as 0.
    """
    squared = SQUARED["debiased"].prepare(probabilities, target)
    return lambda weights: root(squared(weights))


def root(square: float) -> float:
    """The root of what estimates a square: 0 below 0, nan where undefined."""
    return float(np.sqrt(max(0.0, square))) if np.isfinite(square) else float("nan")


def class_ece(probabilities: Floats, target: Integers) -> Callable[[Floats], Floats]:
    """Calibration error of the probability of each class (C,), 15 bins of equal width."""
    gap = probabilities - np.eye(probabilities.shape[1])[target]
    bins = [confidence_bin(column, BINS) for column in probabilities.T]

    def weighted(weights: Floats) -> Floats:
        total = weights.sum()
        return np.array(
            [
                ratio(np.abs(np.bincount(place, weights * column)).sum(), total)
                for place, column in zip(bins, gap.T, strict=True)
            ]
        )

    return weighted


@Metric
def classwise_ece(probabilities: Floats, target: Integers) -> Weighted:
    """Mean over all classes of the calibration error of their probability, 15 bins of equal width.

    Kull et al., "Beyond temperature scaling", NeurIPS 2019. Rare classes, nearly always given a
    small probability, keep it small.
    """
    found = class_ece(probabilities, target)
    return lambda weights: mean_of_finite(found(weights))


classwise_ece.centre = classwise_ece


def brier_parts(probabilities: Floats, target: Integers) -> Callable[[Floats], Floats]:
    """Reliability, resolution and uncertainty (3,): Brier = reliability - resolution + uncertainty.

    Murphy, J Appl Meteorol 12:595-600, 1973, for each class against the rest in 15 equal-mass bins
    of its probability, summed over classes. Probabilities differ within a bin; what that adds
    (within-bin variance and covariance) is counted to the resolution, as in Stephenson, Coelho and
    Jolliffe, Weather Forecast 23:752-757, 2008, so that the three add up exactly.
    """
    columns = []
    for c, column in enumerate(probabilities.T):
        order, place = mass_bins(column)
        columns.append((order, place, column[order], (target[order] == c).astype(np.float64)))

    def weighted(weights: Floats) -> Floats:
        total = weights.sum()
        if not total > 0:
            return np.full(3, np.nan)
        reliability = uncertainty = score = 0.0
        for order, place, stated, true in columns:
            ranked, bins = weights[order], place(weights)
            cases = np.bincount(bins, ranked, BINS)
            gap = np.bincount(bins, ranked * (stated - true), BINS)
            filled = cases > 0
            reliability += float((gap[filled] ** 2 / cases[filled]).sum() / total)
            share = float(ranked @ true / total)
            uncertainty += share * (1 - share)
            score += float(ranked @ (stated - true) ** 2 / total)
        return np.array([reliability, reliability + uncertainty - score, uncertainty])

    return weighted


_PARTS = ("brier_reliability", "brier_resolution", "brier_uncertainty")

CERTAINTY: dict[str, Metric] = {
    "ece_equal_mass": ece_equal_mass,
    "ece_debiased": ece_debiased,
    "classwise_ece": classwise_ece,
    **entries(_PARTS, brier_parts, shifted=_PARTS),
}


def _top(probabilities: Floats, target: Integers) -> tuple[Floats, Floats]:
    """Confidence (N,), and confidence minus correctness (N,)."""
    confidence = probabilities.max(axis=1)
    return confidence, confidence - (probabilities.argmax(axis=1) == target)
