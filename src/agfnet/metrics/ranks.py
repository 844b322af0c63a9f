"""Many methods on many data sets: average ranks, Friedman's test, critical difference.

Demšar, "Statistical comparisons of classifiers over multiple data sets", J Mach Learn Res 7:1-30,
2006. The tests assume independent data sets (blocks). Seeds and folds of one cohort are not
independent: there, ranks are descriptive, and a test of them finds differences between equals.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import friedmanchisquare, rankdata, studentized_range

from agfnet.metrics.metric import Floats

MIN_BLOCKS = 8
"""Fewest independent data sets for the tests: with fewer, they hardly find any difference."""


def average_ranks(values: Floats, *, higher_is_better: bool) -> Floats:
    """Mean rank (M,) of each method over data sets, 1 the best; equal values share their ranks.

    Args:
        values: (D, M), one row per data set; rows with a nan are left out.
        higher_is_better: whether the largest value has rank 1.
    """
    complete = _complete(values)
    if not len(complete):
        return np.full(values.shape[1], np.nan)
    ranks = rankdata(-complete if higher_is_better else complete, axis=1)
    return np.asarray(ranks.mean(axis=0))


def friedman_p(values: Floats) -> float:
    """Friedman's p of equal ranks of all methods (columns of (D, M)).

    nan for fewer than 3 methods or 2 rows.
    """
    complete = _complete(values)
    if complete.shape[1] < 3 or len(complete) < 2:
        return float("nan")
    if (complete == complete[:, :1]).all():
        return 1.0
    return float(friedmanchisquare(*complete.T).pvalue)


def critical_difference(methods: int, sets: int) -> float:
    """Smallest difference of average ranks that is significant at 5 % (Nemenyi's test)."""
    q = studentized_range.ppf(0.95, methods, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(methods * (methods + 1) / (6 * sets)))


def cliques(ranks: Floats, difference: float) -> list[tuple[int, int]]:
    """Longest runs of methods whose ranks differ by less than the critical difference.

    Args:
        ranks: (M,), sorted.
        difference: the critical difference.

    Returns:
        First and last index of each run of two or more; no run lies inside another.
    """
    runs: list[tuple[int, int]] = []
    for first in range(len(ranks)):
        last = int(np.searchsorted(ranks, ranks[first] + difference, side="right")) - 1
        if last > first and (not runs or last > runs[-1][1]):
            runs.append((first, last))
    return runs


def _complete(values: Floats) -> Floats:
    return np.asarray(values[np.isfinite(values).all(axis=1)])
