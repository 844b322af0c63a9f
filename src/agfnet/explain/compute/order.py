"""Does a map point to what the answer rests on? Deletion and insertion, against a random order.

Maps are compared on one coarse grid, so that the resolution of a method does not matter. The cells
of an image are covered, or revealed, in the order of the map (`measures.deletion`, `insertion`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agfnet.explain.compute.measures import area, deletion, insertion, scorer
from agfnet.explain.compute.occlusion import Logits

Array = np.ndarray[Any, Any]

GRID = 8  # cells per side on which maps are compared


def order_areas(
    logits: Logits,
    maps: Sequence[Array],
    images: Sequence[Array],
    present: Array,
    classes: Array,
) -> Array:
    """Areas under the deletion and the insertion curve, mean over the modalities of a case.

    Args:
        logits: of a backend.
        maps: per modality (B, GRID, GRID).
        images: per modality (B, H, W, 3) uint8, prepared.
        present: (B, M) bool.
        classes: (B,), the class whose probability the curves show.

    Returns:
        (B, 2), of deletion and of insertion.
    """
    areas = np.full((*present.shape, 2), np.nan)
    size = images[0].shape[1]
    near = np.arange(size) * GRID // size
    for row, m in np.argwhere(present):
        score = scorer(logits, images, present, row, m, int(classes[row]))
        attribution = maps[m][row][np.ix_(near, near)]
        for k, curve in enumerate((deletion, insertion)):
            areas[row, m, k] = area(curve(images[m][row], attribution, score))
    means: Array = np.nanmean(areas, axis=1)
    return means


def random_orders(images: Sequence[Array], rng: np.random.Generator) -> list[Array]:
    """Per modality maps (B, GRID, GRID) whose cells are in random order."""
    ranks = np.broadcast_to(np.arange(GRID**2), (len(images[0]), GRID**2))
    return [rng.permuted(ranks, axis=1).reshape(-1, GRID, GRID) for _ in images]


def order_gains(areas: Array, chance: Array) -> Array:
    """Insertion minus deletion area (B,), less the same for a random order; both are (B, 2).

    Above 0 for a map that points to what the answer rests on.
    """
    gains: Array = (areas[:, 1] - areas[:, 0]) - (chance[:, 1] - chance[:, 0])
    return gains
