"""Out-of-distribution threshold: fitted on the energies of the validation cases."""

from __future__ import annotations

import numpy as np

from agfnet.calibration.conformal import patient_quantile
from agfnet.inference.familiarity import FeatureModel
from agfnet.inference.predictions import Predictions
from agfnet.metrics.metric import Floats

MAX_COMPONENTS = 64
EXPLAINED = 0.95  # of the variance, by the components
MIN_CASES = 20
MIN_SPREAD = 1e-5  # of energies; below it they are the rounding errors of normalised logits


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


def fit_feature_model(features: Floats) -> FeatureModel | None:
    """Fit a Gaussian to the features (N, D) of training images of one modality.

    Returns:
        None with fewer than 20 images, or if all features are the same.
    """
    count, width = features.shape
    if count < MIN_CASES:
        return None
    values = features.astype(np.float64)
    mean = values.mean(axis=0)
    _, singular, components = np.linalg.svd(values - mean, full_matrices=False)
    variances = singular**2 / (count - 1)
    total = variances.sum()
    if not total > 0:
        return None
    kept = int(np.searchsorted(np.cumsum(variances), EXPLAINED * total)) + 1
    kept = max(1, min(kept, MAX_COMPONENTS, count // 5, width - 1))
    residual = max(variances[kept:].sum() / max(width - kept, 1), 1e-6 * total / width)
    return FeatureModel(
        mean=mean,
        components=components[:kept],
        variances=np.maximum(variances[:kept], residual),
        residual=float(residual),
    )
