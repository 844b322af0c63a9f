"""Whether a stated 80 % is right eight times in ten, and temperature scaling to make it so."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from agfnet.evaluation.metrics import Floats, Integers, confidence_bin
from agfnet.evaluation.statistics import wilson

LOWEST, HIGHEST = 0.05, 20.0  # temperatures beyond these are artefacts of small samples


def fit_temperature(probabilities: Floats, target: Integers) -> float:
    """The temperature that makes the labelled cases most likely, from 0.05 to 20.

    Guo et al., "On calibration of modern neural networks", ICML 2017. Where every case is right,
    none included, more confidence is always more likely and the data name no temperature: then 1.

    Args:
        probabilities: (N, C); zeros are read as the smallest normal float32.
        target: (N,), from 0 to C - 1; drop unlabelled rows first.
    """
    logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    rows = np.arange(len(target))
    if (logits[rows, target] >= logits.max(axis=1, initial=-np.inf)).all():
        return 1.0

    def loss(log_temperature: float) -> float:
        scaled = logits * np.exp(-log_temperature)
        return -float(log_softmax(scaled, axis=1)[rows, target].mean())

    bounds = (np.log(LOWEST), np.log(HIGHEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def apply_temperature(probabilities: Floats, temperature: float) -> Floats:
    """Probabilities (N, C) softened (temperature > 1) or sharpened (< 1); the order stays.

    Raises ValueError when the temperature is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}, expected a number above 0")
    logits = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    scaled: Floats = softmax(logits / temperature, axis=1)
    return scaled


class Reliability(NamedTuple):
    """Confidence against accuracy, each (bins,); nan in empty bins but for cases."""

    cases: Floats  # how many fall in the bin
    confidence: Floats  # their mean confidence
    accuracy: Floats  # share of them that are right
    low: Floats  # 95 % Wilson interval of that share
    high: Floats


def reliability(probabilities: Floats, target: Integers, bins: int = 10) -> Reliability:
    """Top-label reliability in bins of equal width; bin b is (b / bins, (b + 1) / bins]."""
    confidence = probabilities.max(axis=1)
    right = (probabilities.argmax(axis=1) == target).astype(np.float64)
    place = confidence_bin(confidence, bins)
    cases = np.bincount(place, minlength=bins).astype(np.float64)
    filled = np.where(cases > 0, cases, np.nan)
    hits = np.bincount(place, right, bins).astype(np.float64)
    low, high = wilson(hits, cases)
    return Reliability(
        cases, np.bincount(place, confidence, bins) / filled, hits / filled, low, high
    )
