"""Conformal prediction sets with guaranteed coverage: LAC, APS and RAPS.

Split conformal prediction: the scores of the true classes on held-out cases give the quantile that
a new case exceeds with a known probability, for any network and distribution. Lesions of one
patient are not exchangeable with those of others, so every patient has the same weight (Lee, Barber
and Willett, "Distribution-free inference with hierarchical data", 2023, arXiv:2306.06342): the
guarantee is for a lesion of a new patient of the same population, on average over patients.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from agfnet.bundle import PredictionSets
from agfnet.config import SetScore
from agfnet.inference.postprocessing import set_scores
from agfnet.inference.predictions import Predictions
from agfnet.metrics.metric import Floats


def patient_quantile(scores: Floats, patient: npt.ArrayLike, fraction: float) -> float | None:
    """Return the score that a case of a new patient does not exceed with this probability.

    Each of the K patients has weight 1 / (K + 1), divided over their cases; the new patient is as
    likely as each of them to have the largest score, which is a weight of 1 / (K + 1) at infinity.
    With one case per patient this is the ceil((K + 1) fraction)-th smallest score of split
    conformal prediction.

    Args:
        scores: (N,).
        patient: (N,), patient of each case.
        fraction: probability, from 0 to 1.

    Returns:
        None if the quantile is infinite: fewer than fraction / (1 - fraction) patients.
    """
    _, owner, cases = np.unique(np.asarray(patient), return_inverse=True, return_counts=True)
    order = np.argsort(scores, kind="stable")
    mass = np.cumsum(1 / cases[owner][order])
    required = fraction * (len(cases) + 1)
    # sums of fractions miss whole numbers by a rounding error
    index = int(np.searchsorted(mass, required - 1e-9 * max(1.0, required)))
    return float(scores[order[index]]) if index < len(order) else None


def fit_sets(
    predictions: Predictions,
    *,
    score: SetScore = "aps",
    coverage: float = 0.95,
    by_class: bool = False,
    penalty: float = 0.1,
    rank: int = 2,
    consider: float = 0.1,
) -> PredictionSets:
    """Fit the quantiles of prediction sets.

    Args:
        predictions: calibrated, of a split that the network was not trained on.
        score: conformity score that is compared with the quantile (see `set_scores`).
        coverage: minimum fraction of new patients' lesions whose set contains the true class.
        by_class: guarantee the coverage within every class, with a separate quantile for each
            (Vovk, "Conditional validity of inductive conformal predictors", 2012).
        penalty: RAPS only. Like `rank` it must be set before the data are seen, or the guarantee
            fails.
        rank: RAPS only.
        consider: classes with at least this probability are in every set.
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
        consider=consider,
    )
