"""Out-of-distribution: statistics of the training images, thresholds of the validation split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from agfnet.bundle import Familiarity
from agfnet.calibration.conformal import patient_quantile
from agfnet.inference.predictions import Predictions
from agfnet.metrics.metric import Floats

MIN_IMAGES = 20
SHRINKAGE = 0.05  # of the covariances, towards none
MIN_DEVIATION = 0.1  # of a statistic, so that no single one decides: grey images have no saturation
MIN_SPREAD = 1e-5  # of energies; below it they are the rounding errors of normalised logits


def fit_familiarity(statistics: Mapping[str, Floats]) -> dict[str, Familiarity]:
    """Fit a Gaussian to the statistics (N, K) of the training images of each modality.

    The thresholds are 1; `fit_thresholds` sets them. Modalities with fewer than 20 images are left
    out.
    """
    models = {}
    for name, values in statistics.items():
        if len(values) < MIN_IMAGES:
            continue
        covariance = np.cov(values.T)
        variances = np.diag(np.diag(covariance))
        shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * variances
        precision = np.linalg.inv(shrunk + MIN_DEVIATION**2 * np.eye(len(shrunk)))
        models[name] = Familiarity(
            mean=tuple(values.mean(axis=0).tolist()),
            precision=tuple(tuple(row) for row in precision.tolist()),
            threshold=1.0,
        )
    return models


def fit_thresholds(
    models: Mapping[str, Familiarity], predictions: Predictions, *, ood_rate: float = 0.05
) -> dict[str, Familiarity] | None:
    """Set the threshold of each modality to the distance that few validation lesions exceed.

    The rate of warnings is divided over the modalities, so that a lesion of a new patient has any
    warning with probability `ood_rate` at most. This needs (number of modalities) / `ood_rate` - 1
    validation patients with an image of the modality. With fewer, but 20 lesions or more, the
    threshold is the largest distance, and warnings may be more frequent.

    Args:
        models: result of `fit_familiarity`.
        predictions: of a split that the network was not trained on, labelled or not, with distances
            that are relative to a threshold of 1.
        ood_rate: fraction of in-distribution lesions that may get a warning, from 0 to 1.

    Returns:
        None without a modality that has enough validation patients or lesions.
    """
    patients = np.array(predictions.patient_id, dtype=str)
    fitted = {}
    for name, model in models.items():
        distances = predictions.distances.get(name)
        if distances is None:
            continue
        known = ~np.isnan(distances)
        quantile = patient_quantile(
            distances[known], patients[known], 1 - ood_rate / len(models)
        ) or (float(distances[known].max()) if known.sum() >= MIN_IMAGES else None)
        if quantile:
            fitted[name] = replace(model, threshold=quantile)
    return fitted or None


def fit_threshold(predictions: Predictions, *, ood_rate: float = 0.05) -> float | None:
    """Fit the score that a lesion of a new patient exceeds with probability `ood_rate` at most.

    Args:
        predictions: of a split that the network was not trained on, labelled or not.
        ood_rate: fraction of in-distribution lesions that may get a warning, from 0 to 1.

    Returns:
        None without scores, with too few patients, or if all scores are the same up to rounding
        (logits that are normalised have energy 0 for every case).
    """
    scores = predictions.ood_score
    if scores is None or not len(scores) or np.ptp(scores) < MIN_SPREAD:
        return None
    return patient_quantile(scores, predictions.patient_id, 1 - ood_rate)
