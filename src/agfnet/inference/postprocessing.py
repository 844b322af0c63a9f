"""From logits to calibrated probabilities, prediction sets, abstention and an OOD score.

Each function applies a part of the bundle's `Calibration`, which `agfnet.calibration` fits on the
validation split, and returns None if that part is missing. The softmax is written in numpy, because
loading `scipy.special` takes as long as loading everything else that a prediction needs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from agfnet.bundle import Abstention, Calibration, OperatingPoint, PredictionSets
from agfnet.inference.predictions import group_sum

Array = np.ndarray[Any, Any]

ROUNDING = 1e-9  # a score that differs from the quantile by less is equal to it


def calibrated(log_probabilities: Array, calibration: Calibration) -> Array:
    """Calibrate log-probabilities (..., C), normalised or not, to probabilities.

    Vector scaling (Guo et al., "On calibration of modern neural networks", ICML 2017) acts on
    normalised log-probabilities, so that a shift of all logits changes nothing.
    """
    if calibration.scale is None or calibration.bias is None:
        scaled = log_probabilities / calibration.temperature
    else:
        normalised = log_softmax(log_probabilities)
        scaled = normalised * np.array(calibration.scale) + np.array(calibration.bias)
    return softmax(scaled)


def log_sum(values: Array) -> Array:
    """Return the logarithm of the sum of exponentials (..., C), as (..., 1)."""
    top = values.max(axis=-1, keepdims=True)
    total: Array = top + np.log(np.exp(values - top).sum(axis=-1, keepdims=True))
    return total


def log_softmax(values: Array) -> Array:
    """Return normalised log-probabilities (..., C)."""
    return values - log_sum(values)


def softmax(values: Array) -> Array:
    """Return probabilities (..., C)."""
    probabilities: Array = np.exp(log_softmax(values))
    return probabilities


def set_scores(probabilities: Array, *, score: str, penalty: float = 0, rank: int = 1) -> Array:
    """Nonconformity scores of each class (N, C); classes with small scores enter the set first.

    `lac`: one minus the probability (Sadinle, Lei and Wasserman, JASA 114:223-234, 2019).
    `aps`: the probability of all classes that are more probable (Romano, Sesia and Candes, NeurIPS
    2020), without their randomisation, so that the same images always give the same set. The most
    probable class scores 0 and is in every set.
    `raps`: `aps` plus a penalty for every rank beyond `rank` (Angelopoulos et al., ICLR 2021).
    Equally probable classes share the best of their ranks.
    """
    if score == "lac":
        return 1 - probabilities
    order = np.argsort(-probabilities, axis=1, kind="stable")
    ranked = np.take_along_axis(probabilities, order, axis=1)
    new = np.diff(ranked, axis=1, prepend=np.inf) != 0
    first = np.maximum.accumulate(np.where(new, np.arange(ranked.shape[1]), 0), axis=1)
    mass = np.take_along_axis(np.cumsum(ranked, axis=1) - ranked, first, axis=1)
    if score == "raps":
        mass = mass + penalty * np.maximum(0, first + 1 - rank)
    scores = np.empty_like(mass)
    np.put_along_axis(scores, order, mass, axis=1)
    return scores


def prediction_set(probabilities: Array, sets: PredictionSets | None) -> Array | None:
    """Prediction sets (N, C) bool of probabilities (N, C): the classes that are not ruled out.

    Three rules only add classes to the conformal set, so that its coverage still holds. Classes
    with a probability of at least `consider`, exact or as it is shown, are always in. So is the
    most probable class. A set that would be empty, as `lac` has it for uncertain cases, is filled
    from the most probable class on until it has `coverage` of the probability: it must not look
    like the answer of a network that is sure.
    """
    if sets is None:
        return None
    scores = set_scores(probabilities, score=sets.score, penalty=sets.penalty, rank=sets.rank)
    quantiles = np.array([np.inf if q is None else q for q in sets.quantiles])
    members: Array = scores <= quantiles + ROUNDING
    mass_before = set_scores(probabilities, score="aps")
    empty = ~members.any(axis=1, keepdims=True)
    members |= empty & (mass_before < sets.coverage - ROUNDING)
    shown = np.floor(100 * probabilities + 0.5) / 100  # halves up, as in `percents`
    members |= np.maximum(probabilities, shown) >= sets.consider - ROUNDING
    members |= probabilities == probabilities.max(axis=1, keepdims=True)
    return members


def decide(probabilities: Array, scores: Array, calibration: Calibration) -> dict[str, Any]:
    """Return the decisions on probabilities (N, C) and scores (N,), by their `DECISIONS` name.

    The scores are distances from the training images, or energies without them.
    """
    return {
        "prediction_set": prediction_set(probabilities, calibration.sets),
        "ood_score": scores,
        "abstain": abstains(probabilities, calibration.abstention),
        "above_threshold": above_threshold(probabilities, calibration.operating_point),
        "out_of_distribution": out_of_distribution(scores, calibration.ood_limit),
    }


def energy(logits: Array) -> float:
    """Energy of a case from the logits (K, C) of its K frames: high for OOD cases.

    Minus the logarithm of the sum of the exponentials, averaged over the frames: low where the
    logit of any class is high. Before calibration, as in Liu et al., "Energy-based
    out-of-distribution detection", NeurIPS 2020.
    """
    return -float(np.mean(log_sum(logits)))


def out_of_distribution(scores: Array, threshold: float | None) -> Array | None:
    """Compare scores (N,) with the threshold; None without a threshold."""
    return None if threshold is None else scores > threshold


def abstains(probabilities: Array, abstention: Abstention | None) -> Array | None:
    """Find predictions (N, C) that are too uncertain for the guaranteed risk, (N,) bool."""
    return None if abstention is None else probabilities.max(axis=1) < abstention.threshold


def above_threshold(probabilities: Array, point: OperatingPoint | None) -> Array | None:
    """Compare the group's part of probabilities (N, C) with its threshold, (N,) bool."""
    if point is None:
        return None
    positive: Array = group_sum(probabilities, point.members) >= point.threshold - ROUNDING
    return positive


def refer(abstain: bool | None, out_of_distribution: bool | None) -> bool | None:
    """Decide whether a specialist must judge the case; None if no error rate is guaranteed.

    Without an abstention threshold nothing is known of the error rate of the answers, so that only
    an out-of-distribution warning decides.
    """
    return True if abstain or out_of_distribution else abstain
