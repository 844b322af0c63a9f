"""Selective prediction: the error rate among the most confident fraction of cases."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import digamma

from agfnet.metrics.metric import Floats, Integers, Metric, Statistic, ratio


class RiskCoverage(NamedTuple):
    """One point per distinct confidence, from the most to the least confident; each (K,)."""

    coverage: Floats  # fraction of cases with at least that confidence
    risk: Floats  # error rate among them
    threshold: Floats  # the confidence


def risk_coverage(probabilities: Floats, target: Integers) -> RiskCoverage:
    """Risk-coverage curve; equally confident cases are accepted together."""
    confidence = probabilities.max(axis=1)
    wrong = probabilities.argmax(axis=1) != target
    order = np.argsort(-confidence, kind="stable")
    last = np.flatnonzero(np.diff(-confidence[order], append=np.inf))
    accepted = last + 1.0
    return RiskCoverage(
        coverage=accepted / max(len(target), 1),
        risk=np.cumsum(wrong[order])[last] / accepted,
        threshold=confidence[order][last],
    )


@Metric
def aurc(probabilities: Floats, target: Integers) -> Statistic:
    """Area under the risk-coverage curve: mean error rate over all coverages, lower is better.

    Cases are accepted from the most to the least confident. Cases of equal confidence are accepted
    in random order, and this is the expected value. Geifman, Uziel and El-Yaniv, "Bias-reduced
    uncertainty estimation for deep neural classifiers", ICLR 2019.
    """
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence)
    wrong = (probabilities.argmax(axis=1) != target)[order]
    last = np.flatnonzero(np.diff(confidence[order], append=-1))  # of each run of equal values

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
