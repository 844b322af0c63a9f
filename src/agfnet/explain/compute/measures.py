"""How good an evidence map is: against a mask, and by covering what it points to.

Pure functions. A map says how much each pixel speaks for the answer, 0 or more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from agfnet.explain.compute.occlusion import Logits, blank

Array = np.ndarray[Any, Any]
Floats = npt.NDArray[np.float64]
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
    return _curve(image, _covered(image), evidence, score, steps)


def insertion(image: Array, evidence: Array, score: Score, *, steps: int = STEPS) -> Floats:
    """Probability while pixels are shown, those of the strongest evidence first: see `deletion`.

    Faithful evidence makes it rise early.
    """
    return _curve(_covered(image), image, evidence, score, steps)


def area(curve: Array) -> float:
    """Area under a curve of evenly spaced points from 0 to 1 (trapezoids)."""
    return float(((curve[1:] + curve[:-1]) / 2).mean())


def scorer(
    logits: Logits, images: Sequence[Array], present: Array, row: int, m: int, chosen: int
) -> Score:
    """What the network says of one class when one image of one case changes, (B, H, W, 3) to (B,).

    Args:
        logits: of a backend.
        images: per modality (N, H, W, 3).
        present: (N, M).
        row: the case.
        m: the modality whose image changes.
        chosen: the class.
    """

    def score(changed: Array) -> Array:
        given = [np.repeat(part[row : row + 1], len(changed), axis=0) for part in images]
        given[m] = changed
        found = logits(given, np.repeat(present[row : row + 1], len(changed), axis=0))
        shares: Array = softmax(found.astype(np.float64), axis=1)[:, chosen]
        return shares

    return score


def cells(values: Array, grid: int) -> Array:
    """Mean (grid, grid) of a map (H, W), at least as large, in cells of the same size."""
    for axis in (0, 1):
        side = values.shape[axis]
        starts = np.arange(grid) * side // grid
        counts = np.diff([*starts, side])
        shape = (-1, 1) if axis == 0 else (1, -1)
        values = np.add.reduceat(values, starts, axis=axis) / counts.reshape(shape)
    return values


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


def _covered(image: Array) -> Array:
    """The mean colour of an image everywhere."""
    return np.broadcast_to(blank(image), image.shape)


def _same_shape(evidence: Array, other: Array) -> None:
    if evidence.ndim != 2 or evidence.shape != other.shape:
        raise ValueError(
            f"evidence is {evidence.shape} and the other {other.shape}, expected (H, W)"
        )
