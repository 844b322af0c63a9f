"""How well the classes are told apart, beyond the numbers that `metrics` always has.

Averages over classes leave out the classes that the target does not hold: `macro_` counts every
class alike, `weighted_` in proportion to its cases. (The weighted sensitivity is the accuracy.) A
rate without anything to be counted, as the PPV of a class that is never answered, is left out too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from agfnet.metrics.summary import (
    Floats,
    Integers,
    Metric,
    Weighted,
    area_under_roc,
    count_answers,
    entries,
    mean,
    mean_of_finite,
    rates,
    ratio,
)

RATES = ("sensitivity", "specificity", "ppv", "npv", "f1", "auc", "ap")
MACRO = ("ppv", "npv", "ap")  # macro averages of the others are in `metrics`
WEIGHTED = ("specificity", "ppv", "npv", "f1", "auc", "ap")


def top_k(k: int) -> Metric:
    """Share of cases whose true class is among the k most probable; nan with k classes or fewer.

    Of equally probable classes the first come first, as in the answer of the network.
    """

    def top(probabilities: Floats, target: Integers) -> Weighted:
        if probabilities.shape[1] <= k:
            return lambda weights: float("nan")
        true = probabilities[np.arange(len(target)), target][:, None]
        before = np.arange(probabilities.shape[1]) < target[:, None]
        ahead = (probabilities > true) | ((probabilities == true) & before)
        return mean(ahead.sum(axis=1) < k)

    return Metric(top)


@Metric
def kappa(probabilities: Floats, target: Integers) -> Weighted:
    """Agreement of answer and truth beyond chance: Cohen, Educ Psychol Meas 20:37-46, 1960.

    1 is perfect, 0 what the same frequencies of answers would reach by chance; nan where all cases
    are and are called one class.
    """
    counts = count_answers(probabilities, target)

    def weighted(weights: Floats) -> float:
        found = counts(weights)
        total = found.sum()
        chance = found.sum(axis=0) @ found.sum(axis=1)
        return ratio(found.trace() * total - chance, total**2 - chance)

    return weighted


def average_precision(score: Floats, positive: npt.NDArray[np.bool_]) -> Weighted:
    """Mean over the positive cases of the precision at their score; equal scores go together.

    The area under the precision-recall curve, without interpolation. Guessing reaches the share of
    the positive cases. nan without a positive case.
    """
    order = np.argsort(-score)
    hit = positive[order].astype(np.float64)
    last = np.flatnonzero(np.diff(-score[order], append=np.inf))  # of each run of equals

    def weighted(weights: Floats) -> float:
        ranked = weights[order]
        called = np.cumsum(ranked)[last]
        found = np.cumsum(ranked * hit)[last]
        precision = found / np.where(called > 0, called, 1)
        return ratio(np.diff(found, prepend=0) @ precision, found[-1] if len(found) else 0)

    return weighted


def class_rates(probabilities: Floats, target: Integers) -> Callable[[Floats], Floats]:
    """The RATES of each class against the rest, (7, C), under weights; nan where undefined."""
    counts = count_answers(probabilities, target)
    columns = list(enumerate(probabilities.T))
    areas = [area_under_roc(column, target == c) for c, column in columns]
    precisions = [average_precision(column, target == c) for c, column in columns]

    def weighted(weights: Floats) -> Floats:
        found = rates(counts(weights))
        return np.array(
            [
                found.sensitivity,
                found.specificity,
                found.precision,
                found.npv,
                found.f1,
                [area(weights) for area in areas],
                [precision(weights) for precision in precisions],
            ]
        )

    return weighted


def class_metrics(classes: int) -> dict[str, Metric]:
    """Every rate of every class by itself, named `RATE INDEX`."""

    def prepare(probabilities: Floats, target: Integers) -> Callable[[Floats], Floats]:
        table = class_rates(probabilities, target)
        return lambda weights: table(weights).ravel()

    return entries([f"{rate} {c}" for rate in RATES for c in range(classes)], prepare)


def _averages(probabilities: Floats, target: Integers) -> Callable[[Floats], Floats]:
    table = class_rates(probabilities, target)
    classes = probabilities.shape[1]

    def weighted(weights: Floats) -> Floats:
        cases = np.bincount(target, weights, classes)
        found = dict(zip(RATES, np.where(cases > 0, table(weights), np.nan), strict=True))

        def by_cases(values: Floats) -> float:
            defined = np.isfinite(values)
            return ratio(values[defined] @ cases[defined], cases[defined].sum())

        return np.array(
            [mean_of_finite(found[rate]) for rate in MACRO]
            + [by_cases(found[rate]) for rate in WEIGHTED]
        )

    return weighted


DISCRIMINATION: dict[str, Metric] = {
    "top2_accuracy": top_k(2),
    "kappa": kappa,
    **entries(
        [*(f"macro_{rate}" for rate in MACRO), *(f"weighted_{rate}" for rate in WEIGHTED)],
        _averages,
    ),
}
