"""The area under the ROC curve with its variance in closed form, for several scores at once.

DeLong, DeLong and Clarke-Pearson, Biometrics 44:837-845, 1988, in the time of a sort (Sun and Xu,
IEEE Signal Processing Letters 21:1389-1393, 2014). Lesions of one patient are not independent:
with `patient`, the variance is that of Obuchowski, Biometrics 53:567-578, 1997, which equals
DeLong's if every patient has one lesion.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit, ndtri
from scipy.stats import rankdata

from agfnet.metrics.bootstrap import Interval
from agfnet.metrics.metric import Floats


def delong(
    scores: npt.ArrayLike, positive: npt.ArrayLike, patient: npt.ArrayLike | None = None
) -> tuple[Floats, Floats]:
    """Areas (K,) of K scores of the same cases, and their covariance (K, K).

    Args:
        scores: (K, N), higher for positive cases; equal scores count half.
        positive: (N,), true or 1 where the case is positive.
        patient: (N,), patient of each case, by any name or number; None: one patient per case.

    Returns:
        Both nan without a positive or without a negative case; the covariance is nan if only one
        patient has positive or only one has negative cases.

    Raises:
        ValueError: the shapes contradict each other, or a score is not finite.
    """
    areas, parts = influence(scores, positive)
    truth = np.asarray(positive).astype(bool)
    owner = np.arange(len(truth)) if patient is None else np.asarray(patient)
    if owner.shape != truth.shape:
        raise ValueError(f"patient is {owner.shape}, expected {truth.shape}")
    names, number = np.unique(owner, return_inverse=True)
    first, second = (_sums(parts * part, number, len(names)) for part in (truth, ~truth))
    with_first, with_second = (len(np.unique(number[part])) for part in (truth, ~truth))
    if with_first < 2 or with_second < 2:
        return areas, np.full((len(areas), len(areas)), np.nan)
    both = first @ second.T
    covariance = (
        first @ first.T * _unbiased(with_first)
        + second @ second.T * _unbiased(with_second)
        + (both + both.T) * _unbiased(len(names))
    )
    return areas, covariance


def influence(scores: npt.ArrayLike, positive: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Areas (K,) and the contribution of each case to them (K, N), which sums to 0 over cases.

    The variance of an area, or of any sum or difference of areas of the same cases (other scores,
    other classes), is the sum over patients of the squared contribution of their cases.

    Raises:
        ValueError: the shapes contradict each other, or a score is not finite.
    """
    values = np.asarray(scores, dtype=np.float64)
    truth = np.asarray(positive).astype(bool)
    if values.ndim != 2 or truth.shape != values.shape[1:]:
        raise ValueError(
            f"scores are {values.shape} and positive {truth.shape}; expected (K, N) and (N,)"
        )
    if not np.isfinite(values).all():
        raise ValueError("scores hold nan or infinity")
    wins, losses = int(truth.sum()), int((~truth).sum())
    parts = np.full_like(values, np.nan)
    if not wins or not losses:
        return np.full(len(values), np.nan), parts
    ranks = rankdata(values, axis=1)
    # fraction of negatives below each positive (K, P), of positives above each negative (K, Q)
    above = (ranks[:, truth] - rankdata(values[:, truth], axis=1)) / losses
    below = 1 - (ranks[:, ~truth] - rankdata(values[:, ~truth], axis=1)) / wins
    areas: Floats = above.mean(axis=1)
    parts[:, truth] = (above - areas[:, None]) / wins
    parts[:, ~truth] = (below - areas[:, None]) / losses
    return areas, parts


def area_interval(area: float, variance: float) -> tuple[float, float]:
    """Ends of the 95 % interval of one area on the logit scale, so that it stays between 0 and 1.

    nan where the area is 0 or 1 or the variance is unknown or 0: the data then name no interval.
    """
    if not (0 < area < 1 and variance > 0):
        return float("nan"), float("nan")
    half = ndtri(0.975) * np.sqrt(variance) / (area * (1 - area))
    return float(expit(logit(area) - half)), float(expit(logit(area) + half))


def auc_interval(
    score: Floats, positive: npt.ArrayLike, patient: npt.ArrayLike | None = None
) -> Interval:
    """Area of one score (N,) with its 95 % interval; see `delong` and `area_interval`."""
    areas, covariance = delong(score[None], positive, patient)
    area = float(areas[0])
    return Interval(area, *area_interval(area, float(covariance[0, 0])))


def _sums(parts: Floats, owner: npt.NDArray[Any], patients: int) -> Floats:
    """Sum (K, patients) of the parts (K, cases) of each patient."""
    return np.stack([np.bincount(owner, row, patients) for row in parts])


def _unbiased(count: int) -> float:
    return count / (count - 1)
