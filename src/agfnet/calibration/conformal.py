"""Prediction sets that hold the true class as often as promised, fitted on the validation split.

Split conformal prediction: the scores of the true classes on held-out cases say how large a score
must be expected, whatever the network and the distribution. Lesions of one patient are not
exchangeable with those of others, so every patient counts alike (Lee, Barber and Willett,
"Distribution-free inference with hierarchical data", 2023, arXiv:2306.06342): the promise is for a
lesion of a new patient of the same population, on average over patients.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from agfnet.bundle import PredictionSets
from agfnet.config import SetScore
from agfnet.inference.postprocessing import set_scores
from agfnet.inference.predictions import Predictions
from agfnet.metrics.metric import Floats


def patient_quantile(scores: Floats, patient: npt.ArrayLike, share: float) -> float | None:
    """The score (N,) that a case of a new patient does not exceed with probability `share`.

    Each of the K patients weighs 1 / (K + 1), spread over the own cases; the new one is as likely
    as each of them to be the strangest, which is a weight of 1 / (K + 1) at infinity. With one case
    per patient this is the ceil((K + 1) share)-th smallest score of split conformal prediction.

    Returns:
        None where that is infinite: fewer than share / (1 - share) patients.
    """
    _, owner, cases = np.unique(np.asarray(patient), return_inverse=True, return_counts=True)
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(1 / cases[owner][order])
    wanted = share * (len(cases) + 1)
    # sums of fractions miss whole numbers by their rounding
    place = int(np.searchsorted(reached, wanted - 1e-9 * max(1.0, wanted)))
    return float(scores[order[place]]) if place < len(order) else None


def fit_sets(
    predictions: Predictions,
    *,
    score: SetScore = "lac",
    coverage: float = 0.9,
    by_class: bool = False,
    penalty: float = 0.1,
    rank: int = 2,
) -> PredictionSets:
    """Quantiles for prediction sets of a given coverage.

    Args:
        predictions: calibrated, of a split that the network was not trained on.
        score: what is compared with the quantile (see `set_scores`).
        coverage: share of new patients' lesions whose true class is in the set, at least.
        by_class: reach it within every class; a quantile of its own for each (Vovk, "Conditional
            validity of inductive conformal predictors", 2012).
        penalty: RAPS only. With `rank` chosen before the data are seen, or the promise fails.
        rank: RAPS only.
    """
    cases = predictions.labelled()
    if score != "raps":
        penalty, rank = 0.0, 1
    target = cases.target
    scores = set_scores(cases.probabilities, score=score, penalty=penalty, rank=rank)
    true = scores[np.arange(len(cases)), target]
    patient = np.array(cases.patient_id, dtype=str)
    groups = [
        target == c if by_class else np.ones(len(cases), dtype=bool)
        for c in range(len(cases.classes))
    ]
    return PredictionSets(
        score=score,
        coverage=coverage,
        by_class=by_class,
        quantiles=tuple(
            patient_quantile(true[group], patient[group], coverage) for group in groups
        ),
        penalty=penalty,
        rank=rank,
    )
