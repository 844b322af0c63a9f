"""Discrimination: rates of the confusion matrix, ROC and precision-recall areas, kappa.

Averages over classes leave out the classes that the target does not contain: `macro_` counts every
class alike, `weighted_` in proportion to its cases. (The weighted sensitivity is the accuracy.) An
undefined rate, such as the PPV of a class that is never predicted, is left out too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from agfnet.metrics.metric import (
    Booleans,
    Floats,
    Integers,
    Metric,
    Statistic,
    Statistics,
    divide,
    mean_of_finite,
    ratio,
    weighted_mean,
)

RATES = ("sensitivity", "specificity", "ppv", "npv", "f1", "auc", "ap")
MACRO = ("ppv", "npv", "ap")  # macro averages of the others are in `summary.METRICS`
WEIGHTED = ("specificity", "ppv", "npv", "f1", "auc", "ap")


class Rates(NamedTuple):
    """Rates of each class against the rest, each (C,); nan where the denominator is 0."""

    cases: Floats  # number of cases of the class
    sensitivity: Floats
    specificity: Floats
    ppv: Floats
    npv: Floats
    f1: Floats


def confusion(probabilities: Floats, target: Integers) -> Floats:
    """Confusion matrix (C, C): rows are the true class, columns the predicted class."""
    return weighted_confusion(probabilities, target)(np.ones(len(target)))


def weighted_confusion(probabilities: Floats, target: Integers) -> Callable[[Floats], Floats]:
    """Confusion matrix (C, C), rows the true class, as a function of the weights."""
    classes = probabilities.shape[1]
    cell = target * classes + probabilities.argmax(axis=1)

    def weighted(weights: Floats) -> Floats:
        counts = np.bincount(cell, weights, classes**2).astype(np.float64)
        return counts.reshape(classes, classes)

    return weighted


def rates(counts: Floats) -> Rates:
    """Per-class rates of a confusion matrix (C, C)."""
    true, predicted, right = counts.sum(axis=1), counts.sum(axis=0), counts.diagonal()
    rest = counts.sum() - true
    return Rates(
        cases=true,
        sensitivity=divide(right, true),
        specificity=divide(rest - (predicted - right), rest),
        ppv=divide(right, predicted),
        npv=divide(rest - (predicted - right), counts.sum() - predicted),
        f1=divide(2 * right, true + predicted),
    )


def _macro(probabilities: Floats, target: Integers, rate: str) -> Statistic:
    counts = weighted_confusion(probabilities, target)

    def weighted(weights: Floats) -> float:
        table = rates(counts(weights))
        values: Floats = getattr(table, rate)
        return mean_of_finite(values[table.cases > 0])

    return weighted


@Metric
def accuracy(probabilities: Floats, target: Integers) -> Statistic:
    """Fraction of cases whose most probable class is the true class."""
    return weighted_mean(probabilities.argmax(axis=1) == target)


@Metric
def balanced_accuracy(probabilities: Floats, target: Integers) -> Statistic:
    """Mean over classes of the sensitivity: every class counts the same, however rare."""
    return _macro(probabilities, target, "sensitivity")


@Metric
def macro_sensitivity(probabilities: Floats, target: Integers) -> Statistic:
    """Mean over classes of the sensitivity: by definition the balanced accuracy."""
    return _macro(probabilities, target, "sensitivity")


@Metric
def macro_specificity(probabilities: Floats, target: Integers) -> Statistic:
    """Mean over classes of the specificity."""
    return _macro(probabilities, target, "specificity")


@Metric
def macro_f1(probabilities: Floats, target: Integers) -> Statistic:
    """Mean over classes of F1, the harmonic mean of sensitivity and PPV."""
    return _macro(probabilities, target, "f1")


@Metric
def macro_auc(probabilities: Floats, target: Integers) -> Statistic:
    """Mean over classes of the area under the one-vs-rest ROC curve; equal scores count half.

    Classes without a positive or without a negative case are left out.
    """
    areas = [area_under_roc(column, target == c) for c, column in enumerate(probabilities.T)]
    return lambda weights: mean_of_finite(np.array([area(weights) for area in areas]))


def class_auc(probabilities: Floats, target: Integers) -> Floats:
    """Area under the ROC curve of each class against the rest (C,); nan without both."""
    weights = np.ones(len(target))
    columns = enumerate(probabilities.T)
    return np.array([area_under_roc(column, target == c)(weights) for c, column in columns])


def area_under_roc(score: Floats, positive: Booleans) -> Statistic:
    """Area under the ROC curve of a score (N,); equal scores count half."""
    order = np.argsort(score)
    positives = np.flatnonzero(positive)
    first = np.searchsorted(score[order], score[positives], side="left")
    last = np.searchsorted(score[order], score[positives], side="right")

    def weighted(weights: Floats) -> float:
        below = np.concatenate(([0.0], np.cumsum(weights[order])))
        of_positives = weights[positives]
        total = of_positives.sum()
        # Mid-ranks (Mann-Whitney); pairs of two positives add total**2 / 2, which is subtracted.
        wins = of_positives @ (below[first] + below[last]) / 2 - total**2 / 2
        return ratio(wins, total * (below[-1] - total))

    return weighted


def roc_curve(score: Floats, positive: Booleans) -> tuple[Floats, Floats]:
    """False and true positive rates (K + 1,) from (0, 0) to (1, 1), one point per distinct score.

    Both kinds of cases are needed.
    """
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.diff(-score[order], append=np.inf))  # of each run of equal scores
    hits = np.append(0, np.cumsum(positive[order])[last])
    false = np.append(0, last + 1) - hits
    return false / false[-1], hits / hits[-1]


def average_precision(score: Floats, positive: Booleans) -> Statistic:
    """Area under the precision-recall curve without interpolation; equal scores go together.

    The mean over the positive cases of the precision at their score. A random score reaches the
    fraction of positive cases. nan without a positive case.
    """
    order = np.argsort(-score)
    hit = positive[order].astype(np.float64)
    last = np.flatnonzero(np.diff(-score[order], append=np.inf))  # of each run of equal scores

    def weighted(weights: Floats) -> float:
        ranked = weights[order]
        predicted = np.cumsum(ranked)[last]
        hits = np.cumsum(ranked * hit)[last]
        precision = hits / np.where(predicted > 0, predicted, 1)
        return ratio(np.diff(hits, prepend=0) @ precision, hits[-1] if len(hits) else 0)

    return weighted


def top_k(k: int) -> Metric:
    """Fraction of cases whose true class is among the k most probable; nan for C <= k.

    Of equally probable classes the first come first, as in the network's prediction.
    """

    def top(probabilities: Floats, target: Integers) -> Statistic:
        if probabilities.shape[1] <= k:
            return lambda weights: float("nan")
        true = probabilities[np.arange(len(target)), target][:, None]
        before = np.arange(probabilities.shape[1]) < target[:, None]
        ahead = (probabilities > true) | ((probabilities == true) & before)
        return weighted_mean(ahead.sum(axis=1) < k)

    return Metric(top)


@Metric
def kappa(probabilities: Floats, target: Integers) -> Statistic:
    """Agreement of prediction and truth beyond chance: Cohen, Educ Psychol Meas 20:37-46, 1960.

    1 is perfect; 0 is what predictions of the same frequencies reach by chance. nan if all cases
    belong to one class and are predicted as that class.
    """
    counts = weighted_confusion(probabilities, target)

    def weighted(weights: Floats) -> float:
        table = counts(weights)
        total = table.sum()
        chance = table.sum(axis=0) @ table.sum(axis=1)
        return ratio(table.trace() * total - chance, total**2 - chance)

    return weighted


def _class_rates(
    probabilities: Floats, target: Integers
) -> Callable[[Floats], Mapping[str, Floats]]:
    """The RATES of each class against the rest, each (C,), under weights; nan where undefined."""
    counts = weighted_confusion(probabilities, target)
    columns = list(enumerate(probabilities.T))
    areas = [area_under_roc(column, target == c) for c, column in columns]
    precisions = [average_precision(column, target == c) for c, column in columns]

    def weighted(weights: Floats) -> Mapping[str, Floats]:
        return rates(counts(weights))._asdict() | {
            "auc": np.array([area(weights) for area in areas]),
            "ap": np.array([precision(weights) for precision in precisions]),
        }

    return weighted


def class_rates(probabilities: Floats, target: Integers) -> Statistics[tuple[str, int]]:
    """The RATES of each class against the rest, by (rate, class index); nan where undefined."""
    by_rate = _class_rates(probabilities, target)

    def weighted(weights: Floats) -> Mapping[tuple[str, int], float]:
        table = by_rate(weights)
        return {(rate, c): float(x) for rate in RATES for c, x in enumerate(table[rate])}

    return weighted


def discrimination(probabilities: Floats, target: Integers) -> Statistics[str]:
    """Discrimination metrics beyond those of `summary.METRICS`.

    `top2_accuracy`, `kappa`, and the averages over classes that MACRO and WEIGHTED name.
    """
    by_rate = _class_rates(probabilities, target)
    singles = {
        "top2_accuracy": top_k(2).prepare(probabilities, target),
        "kappa": kappa.prepare(probabilities, target),
    }

    def weighted(weights: Floats) -> Mapping[str, float]:
        table = by_rate(weights)
        cases = np.bincount(target, weights, probabilities.shape[1])

        def average(rate: str) -> float:
            values = np.where(cases > 0, table[rate], np.nan)
            defined = np.isfinite(values)
            return ratio(values[defined] @ cases[defined], cases[defined].sum())

        return (
            {name: single(weights) for name, single in singles.items()}
            | {f"macro_{rate}": mean_of_finite(table[rate][cases > 0]) for rate in MACRO}
            | {f"weighted_{rate}": average(rate) for rate in WEIGHTED}
        )

    return weighted
