"""From log-probabilities to what a person is told: probability, possible classes, doubt.

Each function applies what `agfnet.evaluation` fitted on the validation split and the bundle keeps
in its `Calibration`; without it the answer is None. Three lines of numpy stand for `scipy.special`,
which takes as long to load as all else that a prediction needs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from agfnet.bundle import Abstention, Calibration, PredictionSets

Array = np.ndarray[Any, Any]

ROUNDING = 1e-9  # a score that is equal to the quantile but for rounding is within it


def calibrated(log_probabilities: Array, calibration: Calibration) -> Array:
    """Probabilities (..., C) of log-probabilities that need not be normalised.

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
    """Logarithm of the sum of exponentials (..., C), kept as (..., 1)."""
    top = values.max(axis=-1, keepdims=True)
    total: Array = top + np.log(np.exp(values - top).sum(axis=-1, keepdims=True))
    return total


def log_softmax(values: Array) -> Array:
    """Normalised log-probabilities (..., C)."""
    return values - log_sum(values)


def softmax(values: Array) -> Array:
    """Probabilities (..., C)."""
    probabilities: Array = np.exp(log_softmax(values))
    return probabilities


def set_scores(probabilities: Array, *, score: str, penalty: float = 0, rank: int = 1) -> Array:
    """How strange each class would be as the truth (N, C); small scores come into the set first.

    `lac`: one minus the probability (Sadinle, Lei and Wasserman, JASA 114:223-234, 2019).
    `aps`: the probability of all classes that are more probable (Romano, Sesia and Candes, NeurIPS
    2020). Without their randomisation: the same images always give the same set. The most probable
    class scores 0 and is in every set.
    `raps`: that, plus a penalty for every rank beyond the given one (Angelopoulos et al., ICLR
    2021). Equally probable classes share the best of their ranks.
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
    """Which classes each answer (N, C) cannot rule out, (N, C) bool.

    The most probable class is always among them: an empty set would tell nobody anything.
    """
    if sets is None:
        return None
    scores = set_scores(probabilities, score=sets.score, penalty=sets.penalty, rank=sets.rank)
    limits = np.array([np.inf if limit is None else limit for limit in sets.quantiles])
    chosen: Array = scores <= limits + ROUNDING
    chosen[np.arange(len(chosen)), probabilities.argmax(axis=1)] = True
    return chosen


def decide(probabilities: Array, scores: Array, calibration: Calibration) -> dict[str, Any]:
    """All that follows from calibrated answers (N, C) and energies (N,), by `DECISIONS` name."""
    return {
        "prediction_set": prediction_set(probabilities, calibration.sets),
        "ood_score": scores,
        "abstain": abstains(probabilities, calibration.abstention),
        "out_of_distribution": out_of_distribution(scores, calibration.ood_threshold),
    }


def energy(logits: Array) -> float:
    """How unlike the training cases a case is, from the logits (K, C) of its K frames.

    Minus the logarithm of the sum of the exponentials, averaged over the frames: low where the
    network answers any class strongly. Before calibration, as in Liu et al., "Energy-based
    out-of-distribution detection", NeurIPS 2020.
    """
    return -float(np.mean(log_sum(logits)))


def out_of_distribution(scores: Array, threshold: float | None) -> Array | None:
    """Whether the energy (N,) is above what ordinary cases have."""
    return None if threshold is None else scores > threshold


def abstains(probabilities: Array, abstention: Abstention | None) -> Array | None:
    """Whether each answer (N, C) is too unsure to be given at the guaranteed risk."""
    return None if abstention is None else probabilities.max(axis=1) < abstention.threshold


def refer(abstain: bool | None, out_of_distribution: bool | None) -> bool | None:
    """Decide whether a specialist must judge the case; None if no error rate is guaranteed.

    Without an abstention threshold nothing is known of the error rate of the answers, so that only
    an out-of-distribution warning decides.
    """
    return True if abstain or out_of_distribution else abstain
