"""Out-of-distribution threshold: fitted on the energies of the validation cases."""

from __future__ import annotations

import numpy as np

from agfnet.calibration.conformal import patient_quantile
from agfnet.inference.predictions import Predictions

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
