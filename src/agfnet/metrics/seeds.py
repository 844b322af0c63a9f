"""Mean of a metric over seeds, where both the patients and the seeds are random samples.

A study is repeated with other patients and with networks trained with other seeds. The variance of
a mean over S seeds that judged the same patients has two parts (as the readers and cases of a
reading study: Obuchowski and Rockette, Communications in Statistics - Simulation 24:285-308, 1995):

- B, the variance over seeds divided by S. It has only S - 1 degrees of freedom.
- C, the covariance between seeds that results from the same patients.

An approximation of the degrees of freedom of the sum, such as Satterthwaite's, fails with few
seeds: if two or three of them agree by chance, B is close to 0, the sum seems to be known exactly,
and p < 0.001 is ten times as frequent as it should be. Here each part is multiplied by the squared
quantile of its degrees of freedom instead, and the half-width of the interval is the root of the
sum: Banerjee, Sankhya 22:357-358, 1960. Its coverage is never below the nominal level, for any
ratio of the parts and at any level, and equals it where one part dominates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import stdtr, stdtrit

from agfnet.metrics.bootstrap import Interval
from agfnet.metrics.metric import ROUNDING, Floats

MIN_NETWORKS = 3
"""Fewest networks that permit a p for new ones: the variance of two has one degree of freedom."""

SMALLEST_P = 1e-30
MAX_LOG_RATIO = 100.0  # of odds: the interval is then the whole range


class Part(NamedTuple):
    """A part of a variance."""

    variance: float
    freedom: float
    """Degrees of freedom of its estimate."""


@dataclass(frozen=True, kw_only=True)
class SeedMean:
    """Mean over seeds of a metric or of a difference, with its variance."""

    value: float
    networks: int
    """Number of networks of which the values are known: of seeds, times that of folds."""
    patients: Part
    """Variance of the mean over new patients, for these trained networks."""
    bounds: tuple[tuple[Part, ...], ...]
    """Estimates of the variance over new patients and new networks, each as the sum of its parts.
    The widest applies; the first is that of the patients alone."""

    def interval(
        self, level: float = 0.95, *, low: float = -math.inf, high: float = math.inf
    ) -> Interval:
        """Interval over new patients and new networks; with one network, over new patients.

        It excludes 0 exactly if `p` is below 1 - level.

        Args:
            level: confidence level.
            low: lowest possible value, at which the interval is clipped.
            high: highest possible value.
        """
        half = self._half_width(level)
        if math.isnan(half):
            return Interval(self.value, half, half)
        return Interval(self.value, max(self.value - half, low), min(self.value + half, high))

    def interval_in_range(self, *, high: float = 1.0) -> Interval:
        """95 % interval of a metric from 0 to `high`, for which it need not be clipped.

        It is computed for the logit of the metric, or for its logarithm if `high` is infinite:
        close to the end of its range, a metric of few patients is skewed, and a symmetric interval
        misses the true value too often.
        """
        half, value = self._half_width(0.95), self.value
        if not (0 < value < high and math.isfinite(half)):
            return Interval(value, math.nan, math.nan)
        if math.isinf(high):
            ratio = math.exp(min(half / value, MAX_LOG_RATIO))
            return Interval(value, value / ratio, value * ratio)
        odds = value / (high - value)
        ratio = math.exp(min(half * high / (value * (high - value)), MAX_LOG_RATIO))
        low, up = (high * o / (1 + o) for o in (odds / ratio, odds * ratio))
        return Interval(value, low, up)

    def p(self, null: float = 0.0) -> float:
        """Two-sided p of a mean of `null`, for new patients and new networks.

        It is the smallest level whose interval excludes `null`, and never below `p_networks`. nan
        with fewer than `MIN_NETWORKS` networks.
        """
        if self.networks < MIN_NETWORKS:
            return math.nan
        return self._p(null, self.bounds)

    def p_networks(self) -> float:
        """Two-sided p of a mean of 0 for new patients and these trained networks."""
        return self._p(0.0, ((self.patients,),))

    def p_equivalent(self, margin: float) -> float:
        """Test whether the mean is within ± margin: p of two one-sided tests.

        It holds for new patients and new networks. If it is below 0.05, the 90 % interval lies
        within the margin. Schuirmann, J Pharmacokinet Biopharm 15:657-680, 1987.
        """
        p = self.p(math.copysign(margin, self.value)) / 2
        return p if abs(self.value) < margin else 1 - p

    def _half_width(self, level: float) -> float:
        if not self.patients.variance > 0:
            return math.nan
        return math.sqrt(max(_squared(parts, 1 - level) for parts in self.bounds))

    def _p(self, null: float, bounds: tuple[tuple[Part, ...], ...]) -> float:
        if not self.patients.variance > 0:
            known = self.patients.variance == 0
            return 1.0 if known and self.value == null else math.nan
        return max(_p(abs(self.value - null), parts) for parts in bounds)


def over_seeds(values: Floats, left_out: Floats, *, runs: Floats | None = None) -> SeedMean:
    """Mean over seeds of a metric or difference, with its variance over patients and seeds.

    Args:
        values: (S,), one per seed.
        left_out: (G, S), the same without each patient or group of patients
            (`jackknife.leave_patients_out`); rows with a nan are ignored. If each seed has a
            separate cohort, a patient changes the value of one seed only.
        runs: (S, F), the values of single runs if a seed is trained on F folds. Networks of folds
            share training cases, and all seeds share the folds: seeds alone vary too little. The
            variance is then at least that of the corrected resampled t test (Nadeau and Bengio,
            Machine Learning 52:239-281, 2003; Bouckaert and Frank, PAKDD 2004). Runs with a nan,
            where a metric is not defined on the cases of a fold, are ignored.

    Returns:
        The mean and its variance. With one seed, the variance is that of the patients alone. With
        fewer than two complete rows of `left_out` it is unknown.
    """
    seeds = len(values)
    defined = values if runs is None else runs[np.isfinite(runs)]
    networks = max(seeds, defined.size)
    mean = float(np.mean(values)) if seeds else math.nan
    rows = left_out[np.isfinite(left_out).all(axis=1)]
    if not math.isfinite(mean) or len(rows) < 2:
        unknown = Part(math.nan, math.nan)
        return SeedMean(value=mean, networks=networks, patients=unknown, bounds=((unknown,),))
    influence = rows - rows.mean(axis=0)
    influence[np.abs(influence) <= ROUNDING * (1 + np.abs(values))] = 0
    covariance = influence.T @ influence * (len(rows) - 1) / len(rows)
    patients = Part(float(covariance.mean()), _freedom(influence.mean(axis=1)))
    bounds: list[tuple[Part, ...]] = [(patients,)]
    if seeds > 1:
        common = max(float(covariance[~np.eye(seeds, dtype=bool)].mean()), 0.0)
        between = float(np.var(values, ddof=1)) / seeds
        bounds.append((Part(common, patients.freedom), Part(between, seeds - 1)))
    if runs is not None and defined.size > 1:
        corrected = 1 / defined.size + 1 / (runs.shape[1] - 1)  # 1 / runs + test / training cases
        bounds.append((Part(float(np.var(defined, ddof=1)) * corrected, defined.size - 1),))
    return SeedMean(value=mean, networks=networks, patients=patients, bounds=tuple(bounds))


def separate_cohorts(values: Floats, left_out: Sequence[Floats]) -> Floats:
    """Return the `left_out` of `over_seeds` where each seed has a separate cohort.

    Args:
        values: (S,), one per seed.
        left_out: for each seed, the values (G,) without each patient or group of its cohort.

    Returns:
        (sum of all G, S): without a patient of one cohort, the other seeds keep their values.
    """
    seed = np.repeat(np.arange(len(values)), [len(rows) for rows in left_out])
    rows = np.tile(values, (len(seed), 1))
    rows[np.arange(len(seed)), seed] = np.concatenate([*left_out, np.empty(0)])
    return rows


def _freedom(influence: Floats) -> float:
    """Degrees of freedom of a sum of squares: Satterthwaite's, from its fourth moment.

    About the number of patients if all have a similar influence, and much less if few patients
    determine the variance: those of a rare class, or the few that two methods classify differently.
    """
    squares = influence**2
    total, count = float(squares.sum()), len(squares)
    if not total > 0:
        return count - 1
    spread = float(squares @ squares) - total**2 / count
    return min(count - 1.0, 2 * total**2 / spread) if spread > 0 else count - 1.0


def _squared(parts: tuple[Part, ...], alpha: float) -> float:
    """Squared half-width of the interval of level 1 - alpha."""
    return sum(part.variance * float(stdtrit(part.freedom, alpha / 2)) ** 2 for part in parts)


def _p(distance: float, parts: tuple[Part, ...]) -> float:
    """Smallest alpha whose half-width is at most the distance."""
    if len(parts) == 1:
        ((variance, freedom),) = parts
        if not variance > 0:
            return math.nan
        return float(2 * stdtr(freedom, -distance / math.sqrt(variance)))
    if distance == 0:
        return 1.0
    lowest = math.log(SMALLEST_P)

    def excess(log_p: float) -> float:
        return _squared(parts, math.exp(log_p)) - distance**2

    if excess(lowest) < 0:
        return SMALLEST_P
    return math.exp(brentq(excess, lowest, 0.0, xtol=1e-9))
