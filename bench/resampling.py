"""The percentile bootstrap of paired differences, which `agfnet compare` used to take.

It is kept for benchmarks of many cases, and to be compared with what took its place
(`study_statistics.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agfnet.metrics.bootstrap import patient_draws
from agfnet.metrics.metric import K, Statistics
from agfnet.metrics.paired import Comparison


def paired_bootstrap(
    patients: Sequence[str],
    a: Statistics[K],
    b: Statistics[K],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[K, Comparison]:
    """Return the difference a - b of each statistic, with its 95 % interval and p.

    p is twice the smaller fraction of draws on one side of zero; draws of exactly zero count on
    both sides, and one is added to each count.
    """
    everyone = np.ones(len(patients))
    draws = [everyone, *patient_draws(patients, resamples, seed)]
    table = [(a(weights), b(weights)) for weights in draws]
    comparisons = {}
    for name in table[0][0]:
        value, *drawn = (first[name] - second[name] for first, second in table)
        finite = np.array(drawn)[np.isfinite(drawn)]
        tail = min((finite <= 0).sum(), (finite >= 0).sum())
        low, high = np.quantile(finite, [0.025, 0.975])
        p = min(1.0, 2 * float(tail + 1) / (len(finite) + 1))
        comparisons[name] = Comparison(value, float(low), float(high), p)
    return comparisons
