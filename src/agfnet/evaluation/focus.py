"""Whether a network looks at the lesion: evidence maps against lesion masks and planted marks.

Pure functions. A map says how much each pixel speaks for the answer, 0 or more; where it comes
from is `agfnet.evaluation.evidence`'s concern.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from agfnet.evaluation.metrics import METRICS, Floats
from agfnet.evaluation.statistics import Comparison, paired_bootstrap
from agfnet.inference.predictions import Predictions

Array = np.ndarray[Any, Any]
Score = Callable[[Array], Array]  # images (B, H, W, 3) to the probability of their class (B,)

STEPS = 10


def inside(evidence: Array, mask: Array) -> float:
    """Share of the evidence (H, W) that lies in a mask (H, W) of 0 to 1; nan without evidence.

    Evidence that knows nothing of the lesion has the share that the lesion has of the image.
    """
    _same_shape(evidence, mask)
    total = float(evidence.sum())
    return float((evidence * mask).sum()) / total if total > 0 else float("nan")


def pointing(evidence: Array, mask: Array) -> float:
    """Pointing game: whether the strongest evidence lies in the mask; nan without evidence.

    1 or 0, or the share of equals that do. Zhang et al., "Top-down neural attention by excitation
    backprop", ECCV 2016, without their tolerance.
    """
    _same_shape(evidence, mask)
    if not (evidence > 0).any():
        return float("nan")
    return float((mask[evidence == evidence.max()] > 0.5).mean())


def deletion(image: Array, evidence: Array, score: Score, *, steps: int = STEPS) -> Floats:
    """Probability while pixels are covered, those of the strongest evidence first.

    Faithful evidence makes it fall early. Covered is the mean colour of the image. Petsiuk et
    al., "RISE: randomized input sampling for explanation of black-box models", BMVC 2018.

    Args:
        image: (H, W, 3) uint8, prepared.
        evidence: (H, W).
        score: probability of the class that the evidence speaks for.
        steps: equal shares of the pixels.

    Returns:
        (steps + 1,), from the whole image to none of it.
    """
    return _curve(image, _blank(image), evidence, score, steps)


def insertion(image: Array, evidence: Array, score: Score, *, steps: int = STEPS) -> Floats:
    """Probability while pixels are shown, those of the strongest evidence first: see `deletion`.

    Faithful evidence makes it rise early.
    """
    return _curve(_blank(image), image, evidence, score, steps)


def area(curve: Array) -> float:
    """Area under a curve of evenly spaced points from 0 to 1 (trapezoids)."""
    return float(((curve[1:] + curve[:-1]) / 2).mean())


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


def _curve(start: Array, end: Array, evidence: Array, score: Score, steps: int) -> Floats:
    """Scores on the way from one image to the other, pixel by pixel in the order of evidence."""
    if steps < 1:
        raise ValueError(f"steps is {steps}, expected at least 1")
    _same_shape(evidence, start[..., 0])
    order = np.argsort(-evidence.ravel(), kind="stable")
    rank = np.empty(order.size, dtype=np.int64)
    rank[order] = np.arange(order.size)
    rank = rank.reshape(*evidence.shape, 1)
    shares = np.rint(np.linspace(0, order.size, steps + 1))
    images = np.stack([np.where(rank < count, end, start) for count in shares])
    return np.asarray(score(images), dtype=np.float64)


def _blank(image: Array) -> Array:
    """The mean colour of an image everywhere."""
    return np.broadcast_to(image.mean(axis=(0, 1)).round(), image.shape).astype(image.dtype)


def _same_shape(evidence: Array, other: Array) -> None:
    if evidence.ndim != 2 or evidence.shape != other.shape:
        raise ValueError(
            f"evidence is {evidence.shape} and the other {other.shape}, expected (H, W)"
        )
