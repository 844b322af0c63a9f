"""Out-of-distribution threshold: fitted on the energies of the validation cases."""

from __future__ import annotations

from agfnet.calibration.conformal import patient_quantile
from agfnet.inference.predictions import Predictions


def fit_threshold(predictions: Predictions, *, share: float = 0.05) -> float | None:
    """The score that a lesion of a new patient exceeds with probability `share` at most.

    Args:
        predictions: of a split that the network was not trained on, labelled or not.
        share: ordinary lesions that may be called strange.

    Returns:
        None without scores, or with too few patients to name a threshold.
    """
    if predictions.ood_score is None:
        return None
    return patient_quantile(predictions.ood_score, predictions.patient_id, 1 - share)
