"""What a planted mark costs once it goes with other classes than it did in training."""

from __future__ import annotations

from agfnet.inference.predictions import Predictions
from agfnet.metrics.bootstrap import Comparison, paired_bootstrap
from agfnet.metrics.summary import METRICS


def shortcut_drop(
    plain: Predictions, flipped: Predictions, *, resamples: int = 1000, seed: int = 0
) -> Comparison:
    """Accuracy lost when a planted mark goes with the other classes than it did in training.

    Args:
        plain: answers on the lesions as they are.
        flipped: on the same lesions with the marks exchanged.
        resamples: of patients.
        seed: of the resampling.

    Raises:
        DataError: the tables are not of the same lesions.
    """
    return paired_bootstrap(plain, flipped, METRICS["accuracy"], resamples=resamples, seed=seed)
