"""Whether a stated 80 % is right eight times in ten, and scaling to make it so."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax

from agfnet.metrics.bootstrap import wilson
from agfnet.metrics.calibration import mass_bins
from agfnet.metrics.summary import Floats, Integers, confidence_bin

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


def fit_vector(probabilities: Floats, target: Integers) -> tuple[Floats, Floats]:
    """A factor and an offset (C,) for the log-probability of each class: vector scaling.

    Guo et al., ICML 2017, on normalised log-probabilities. Unlike a temperature it can mend classes
    that are over- or underrated, and can change the answer. The likelihood is maximised together
    with normal priors of standard deviation 1 around factor 1 and offset 0, which weigh as much as
    a few cases: without them a class that is missing or always right would drive them to infinity.

    Args:
        probabilities: (N, C); zeros are read as the smallest normal float32.
        target: (N,), from 0 to C - 1; drop unlabelled rows first.
    """
    logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    logits = log_softmax(logits, axis=1)
    classes = logits.shape[1]
    truth = np.eye(classes)[target]

    def loss(parameters: Floats) -> tuple[float, Floats]:
        scale, bias = parameters[:classes], parameters[classes:]
        found = log_softmax(logits * scale + bias, axis=1)
        off = parameters - start
        slope = np.exp(found) - truth
        gradient = np.concatenate([(slope * logits).sum(axis=0), slope.sum(axis=0)]) + off
        return -float((found * truth).sum()) + float(off @ off) / 2, gradient

    start = np.repeat([1.0, 0.0], classes)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000})
    return found.x[:classes], found.x[classes:]


class Reliability(NamedTuple):
    """Confidence against accuracy, each (bins,); nan in empty bins but for cases."""

    cases: Floats  # how many fall in the bin
    confidence: Floats  # their mean confidence
    accuracy: Floats  # share of them that are right
    low: Floats  # 95 % Wilson interval of that share
    high: Floats


def reliability(
    probabilities: Floats,
    target: Integers,
    bins: int = 10,
    *,
    equal_mass: bool = False,
    patient: npt.ArrayLike | None = None,
) -> Reliability:
    """Top-label reliability in bins.

    Args:
        probabilities: (N, C).
        target: (N,).
        bins: how many.
        equal_mass: bins with equally many cases, instead of bin b from b / bins to (b + 1) / bins.
        patient: (N,), whose case it is; the intervals then allow for what lesions of a patient have
            in common, by the effective number of cases of each bin (see `effective_cases`).
    """
    confidence = probabilities.max(axis=1)
    right = (probabilities.argmax(axis=1) == target).astype(np.float64)
    if equal_mass:
        order, weighted = mass_bins(confidence, bins)
        place = np.empty(len(order), dtype=np.int64)
        place[order] = weighted(np.ones(len(order)))
    else:
        place = confidence_bin(confidence, bins)
    cases = np.bincount(place, minlength=bins).astype(np.float64)
    filled = np.where(cases > 0, cases, np.nan)
    share = np.bincount(place, right, bins) / filled
    counted = cases
    if patient is not None:
        owner = np.asarray(patient)
        counted = np.array(
            [effective_cases(right[place == b], owner[place == b]) for b in range(bins)]
        )
    low, high = wilson(np.nan_to_num(share) * counted, counted)
    return Reliability(cases, np.bincount(place, confidence, bins) / filled, share, low, high)


def effective_cases(right: Floats, patient: npt.NDArray[Any]) -> float:
    """How many independent cases tell as much about a share as these (N,) of some patients.

    The number of cases over the design effect: the variance of the share between patients over that
    of independent cases (Korn and Graubard, Survey Methodology 24:193-201, 1998), not below 1.
    Where all are right or all wrong the data name no variance, and every patient counts once.
    """
    names, owner = np.unique(patient, return_inverse=True)
    share = right.mean() if len(right) else 0.0
    if len(names) < 2 or share in (0.0, 1.0):
        return float(len(names))
    sums = np.bincount(owner, right - share)
    between = len(names) / (len(names) - 1) * float(sums @ sums) / len(right) ** 2
    return (
        min(float(len(right)), share * (1 - share) / between) if between > 0 else float(len(right))
    )
