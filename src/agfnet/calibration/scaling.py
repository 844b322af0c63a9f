"""Temperature scaling and vector scaling: fit probabilities to the observed frequencies."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax

from agfnet.metrics.metric import Floats, Integers

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0  # values beyond are artefacts of small samples


def fit_temperature(probabilities: Floats, target: Integers) -> float:
    """Return the temperature that maximises the likelihood of the labelled cases, from 0.05 to 20.

    Guo et al., "On calibration of modern neural networks", ICML 2017. If every prediction is
    correct, or there is no case, higher confidence is always more likely and the data determine no
    temperature; the result is then 1.

    Args:
        probabilities: (N, C); zeros are replaced by the smallest normal float32.
        target: (N,), from 0 to C - 1; drop unlabelled rows first.
    """
    logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    rows = np.arange(len(target))
    if (logits[rows, target] >= logits.max(axis=1, initial=-np.inf)).all():
        return 1.0

    def loss(log_temperature: float) -> float:
        scaled = logits * np.exp(-log_temperature)
        return -float(log_softmax(scaled, axis=1)[rows, target].mean())

    bounds = (np.log(MIN_TEMPERATURE), np.log(MAX_TEMPERATURE))
    optimum = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(optimum.x))


def fit_vector(probabilities: Floats, target: Integers) -> tuple[Floats, Floats]:
    """Return the factors and offsets, both (C,), of vector scaling of the log-probabilities.

    Guo et al., ICML 2017, on normalised log-probabilities. Unlike a temperature, vector scaling can
    correct classes that are over- or underestimated, and can change the predicted class. The
    likelihood is maximised together with normal priors of standard deviation 1 around factor 1 and
    offset 0, which weigh as much as a few cases: without them a class that is missing or always
    predicted correctly would drive the parameters to infinity.

    Args:
        probabilities: (N, C); zeros are replaced by the smallest normal float32.
        target: (N,), from 0 to C - 1; drop unlabelled rows first.
    """
    logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    logits = log_softmax(logits, axis=1)
    classes = logits.shape[1]
    truth = np.eye(classes)[target]

    def loss(parameters: Floats) -> tuple[float, Floats]:
        scale, bias = parameters[:classes], parameters[classes:]
        scaled = log_softmax(logits * scale + bias, axis=1)
        shift = parameters - start
        slope = np.exp(scaled) - truth
        gradient = np.concatenate([(slope * logits).sum(axis=0), slope.sum(axis=0)]) + shift
        return -float((scaled * truth).sum()) + float(shift @ shift) / 2, gradient

    start = np.repeat([1.0, 0.0], classes)
    optimum = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000})
    return optimum.x[:classes], optimum.x[classes:]
