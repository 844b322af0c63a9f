"""Paired tests of two networks on the same cases: only the patients vary.

`seeds.over_seeds` compares methods, where the seeds vary too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from agfnet.metrics.delong import influence
from agfnet.metrics.jackknife import leave_patients_out
from agfnet.metrics.metric import Floats, Integers, K, Statistics
from agfnet.metrics.seeds import over_seeds

CASEWISE = ("accuracy", "balanced_accuracy", "nll", "brier")
"""Metrics that are the mean of one value per case."""


class Comparison(NamedTuple):
    """A difference, the ends of its interval, and the two-sided p of no difference."""

    value: float
    low: float
    high: float
    p: float


def paired_jackknife(
    patients: Sequence[str],
    a: Statistics[K],
    b: Statistics[K],
    *,
    max_groups: int = 1000,
    level: float = 0.95,
) -> dict[K, Comparison]:
    """Difference a - b of each statistic, where both judged the same cases.

    Its variance over patients comes from a jackknife, and the quantile from Student's t with the
    degrees of freedom of this variance: few where few patients decide. Unlike a bootstrap, it is
    not limited to the range of the data; with few patients it is conservative
    (`bench/study_statistics.py`).

    Args:
        patients: (N,), patient of each case.
        a: function from case weights (N,) to the statistics by name.
        b: the same statistics for the other predictions of the same cases.
        max_groups: each patient is left out alone; with more patients than this, in groups.
        level: confidence level.

    Returns:
        Interval and p of each difference. p is below 1 - level exactly if the interval excludes 0.
        Without a difference in any patient, p is 1; with the same difference in all, both are nan.
    """

    def differences(weights: Floats) -> Mapping[K, float]:
        subtracted = b(weights)
        return {name: value - subtracted[name] for name, value in a(weights).items()}

    names = list(differences(np.ones(len(patients))))
    values, left_out = leave_patients_out(patients, differences, max_groups=max_groups)
    comparisons = {}
    for column, name in enumerate(names):
        mean = over_seeds(values[[column]], left_out[:, [column]])
        comparisons[name] = Comparison(*mean.interval(level), p=mean.p_networks())
    return comparisons


def permutation_p(
    difference: Floats, patient: npt.ArrayLike, *, permutations: int = 9999, seed: int = 0
) -> float:
    """Two-sided permutation p of no mean difference; the methods are exchanged patient by patient.

    Args:
        difference: (N,), value of one method minus that of the other for each case (`casewise`).
        patient: (N,), patient of each case; all cases of a patient are exchanged together.
        permutations: number of random permutations; the observed one is added, so that p is never
            0.
        seed: of the permutations.
    """
    _, owner = np.unique(np.asarray(patient), return_inverse=True)
    sums = np.bincount(owner, difference)
    sums = sums[sums != 0]
    rng = np.random.default_rng(seed)
    observed = abs(sums.sum()) * (1 - 1e-12)  # equal sums stay equal in any order of addition
    extreme = 0
    for start in range(0, permutations, 1000):  # not all signs in memory at once
        count = min(1000, permutations - start)
        signs = rng.integers(0, 2, size=(count, len(sums)), dtype=np.int8) * 2 - 1
        extreme += int((np.abs(signs @ sums) >= observed).sum())
    return (extreme + 1) / (permutations + 1)


def casewise(name: str, probabilities: Floats, target: Integers) -> Floats:
    """Value of each case (N,) whose mean is the metric, one of `CASEWISE`."""
    rows = np.arange(len(target))
    if name == "nll":
        return -np.log(np.maximum(probabilities[rows, target], np.finfo(np.float64).eps))
    if name == "brier":
        truth = np.eye(probabilities.shape[1])[target]
        return np.asarray(((probabilities - truth) ** 2).sum(axis=1))
    right = (probabilities.argmax(axis=1) == target).astype(np.float64)
    if name == "accuracy":
        return right
    _, group, count = np.unique(target, return_inverse=True, return_counts=True)
    return np.asarray(right * len(target) / (len(count) * count[group]))


def area_parts(probabilities: Floats, target: Integers) -> Floats:
    """Contribution of each case (N,) to the macro AUC: see `delong.influence`."""
    present = [c for c in range(probabilities.shape[1]) if 0 < (target == c).sum() < len(target)]
    if not present:
        return np.full(len(target), np.nan)
    parts = [influence(probabilities[:, c][None], target == c)[1][0] for c in present]
    return np.asarray(np.mean(parts, axis=0))


def area_test(
    value: float, parts: Floats, patient: npt.ArrayLike, *, level: float = 0.95
) -> Comparison:
    """DeLong's test of a difference of (macro) AUC, in closed form, with patients as clusters.

    Args:
        value: the difference.
        parts: (N,), difference of the `area_parts`, averaged over seeds if there are several.
        patient: (N,), patient of each case.
        level: confidence level.
    """
    names, owner = np.unique(np.asarray(patient), return_inverse=True)
    if len(names) < 2:
        return Comparison(value, *[float("nan")] * 3)
    sums = np.bincount(owner, parts)
    error = float(np.sqrt(float(sums @ sums) * len(names) / (len(names) - 1)))
    if not error > 0:
        if value == 0 and error == 0:
            return Comparison(0.0, 0.0, 0.0, 1.0)
        return Comparison(value, *[float("nan")] * 3)
    half = float(ndtri((1 + level) / 2)) * error
    return Comparison(value, value - half, value + half, float(2 * ndtr(-abs(value) / error)))


def holm(p: npt.ArrayLike) -> Floats:
    """Adjust p for several comparisons: Holm, Scandinavian J Statistics 6:65-70, 1979.

    If those below 0.05 are called significant, the probability of at least one false finding is at
    most 5 %. A nan is not a comparison: it stays nan and does not count.
    """
    values = np.asarray(p, dtype=np.float64)
    adjusted = np.full(values.shape, np.nan)
    tested = np.flatnonzero(np.isfinite(values))
    order = tested[np.argsort(values[tested], kind="stable")]
    steps = values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
