"""Measures of an attribution map: agreement with a lesion mask, deletion and insertion.

Pure functions. An attribution map holds a value of 0 or more for each pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from agfnet.explain.compute.occlusion import Logits, mean_colour

Array = np.ndarray[Any, Any]
Floats = npt.NDArray[np.float64]
Score = Callable[[Array], Array]  # images (B, H, W, 3) to the probability of their class (B,)

STEPS = 10


def relevance_mass_accuracy(attribution: Array, mask: Array) -> float:
    """Fraction of an attribution map (H, W) that lies in a mask (H, W) of 0 to 1.

    nan if the map is 0 everywhere. A map that is unrelated to the lesion has the fraction of the
    image that the lesion covers.
    """
    _same_shape(attribution, mask)
    total = float(attribution.sum())
    return float((attribution * mask).sum()) / total if total > 0 else float("nan")


def pointing(attribution: Array, mask: Array) -> float:
    """Pointing game: 1 if the maximum of the map lies in the mask, otherwise 0.

    The mean over equal maxima; nan if the map is 0 everywhere. Zhang et al., "Top-down neural
    attention by excitation backprop", ECCV 2016, without their tolerance.
    """
    _same_shape(attribution, mask)
    if not (attribution > 0).any():
        return float("nan")
    return float((mask[attribution == attribution.max()] > 0.5).mean())


def deletion(image: Array, attribution: Array, score: Score, *, steps: int = STEPS) -> Floats:
    """Probability while pixels are covered, those of the highest attribution first.

    A faithful map makes it fall early. Covered pixels take the mean colour of the image. Petsiuk et
    al., "RISE: randomized input sampling for explanation of black-box models", BMVC 2018.

    Args:
        image: (H, W, 3) uint8, prepared.
        attribution: (H, W).
        score: probability of the class that the map explains.
        steps: number of equal steps.

    Returns:
        (steps + 1,), from the whole image to none of it.
    """
    return _curve(image, _covered(image), attribution, score, steps)


def insertion(image: Array, attribution: Array, score: Score, *, steps: int = STEPS) -> Floats:
    """Probability while pixels are revealed, those of the highest attribution first.

    A faithful map makes it rise early. See `deletion`.
    """
    return _curve(_covered(image), image, attribution, score, steps)


def area(curve: Array) -> float:
    """Area under a curve of evenly spaced points from 0 to 1 (trapezoids)."""
    return float(((curve[1:] + curve[:-1]) / 2).mean())


def scorer(
    logits: Logits, images: Sequence[Array], present: Array, row: int, m: int, class_index: int
) -> Score:
    """Return a function from images (B, H, W, 3) to the probability (B,) of one class.

    The images replace that of one modality of one case.

    Args:
        logits: of a backend.
        images: per modality (N, H, W, 3).
        present: (N, M).
        row: the case.
        m: the modality whose image is replaced.
        class_index: the class.
    """

    def score(changed: Array) -> Array:
        inputs = [np.repeat(part[row : row + 1], len(changed), axis=0) for part in images]
        inputs[m] = changed
        outputs = logits(inputs, np.repeat(present[row : row + 1], len(changed), axis=0))
        probabilities: Array = softmax(outputs.astype(np.float64), axis=1)[:, class_index]
        return probabilities

    return score


def cells(values: Array, grid: int) -> Array:
    """Average a map (H, W) in the cells of a (grid, grid) grid; H and W are at least `grid`."""
    for axis in (0, 1):
        side = values.shape[axis]
        starts = np.arange(grid) * side // grid
        counts = np.diff([*starts, side])
        shape = (-1, 1) if axis == 0 else (1, -1)
        values = np.add.reduceat(values, starts, axis=axis) / counts.reshape(shape)
    return values


def _curve(start: Array, end: Array, attribution: Array, score: Score, steps: int) -> Floats:
    """Scores while one image is replaced by the other, in the order of attribution."""
    if steps < 1:
        raise ValueError(f"steps is {steps}, expected at least 1")
    _same_shape(attribution, start[..., 0])
    order = np.argsort(-attribution.ravel(), kind="stable")
    rank = np.empty(order.size, dtype=np.int64)
    rank[order] = np.arange(order.size)
    rank = rank.reshape(*attribution.shape, 1)
    counts = np.rint(np.linspace(0, order.size, steps + 1))
    images = np.stack([np.where(rank < count, end, start) for count in counts])
    return np.asarray(score(images), dtype=np.float64)


def _covered(image: Array) -> Array:
    """The mean colour of an image everywhere."""
    return np.broadcast_to(mean_colour(image), image.shape)


def _same_shape(attribution: Array, other: Array) -> None:
    if attribution.ndim != 2 or attribution.shape != other.shape:
        raise ValueError(
            f"attribution is {attribution.shape} and the other {other.shape}, expected (H, W)"
        )
