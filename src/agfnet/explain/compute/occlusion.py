"""Occlusion maps: attribution from the answers alone, by covering parts of the image.

This works with every network and every backend. A backend with gradients offers a finer map at the
cost of one forward and backward pass (`agfnet.explain.compute.maps`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import numpy as np
from PIL import Image as Pillow

from agfnet.inference.postprocessing import log_softmax

Array = np.ndarray[Any, Any]
Logits = Callable[[Sequence[Array], Array], Array]

CELLS = 7  # per side
BATCH = 64


def occlusion(
    logits: Logits, images: Sequence[Array], present: Array, classes: Array, *, cells: int = CELLS
) -> list[Array]:
    """Decrease of the log-probability of a class when each cell of a grid is covered.

    A covered cell is filled with the mean colour of the image. Where covering increases the
    probability, the attribution is 0. Zeiler and Fergus, "Visualizing and understanding
    convolutional networks", ECCV 2014.

    Args:
        logits: of a backend.
        images: per modality (B, H, W, 3) uint8, prepared.
        present: (B, M).
        classes: (B,), the class that is explained.
        cells: per side of the grid.

    Returns:
        Per modality (B, H, W), 0 or more, interpolated between the centres of the cells; 0 where
        a modality is missing.
    """
    rows = np.arange(len(classes))
    whole = log_softmax(logits(images, present))[rows, classes]
    maps = [np.zeros((len(classes), cells, cells), dtype=np.float32) for _ in images]
    work = iter(
        (m, row, cell)
        for m in range(len(images))
        for row in rows[present[:, m]]
        for cell in np.ndindex(cells, cells)
    )
    while batch := list(islice(work, BATCH)):
        case_rows = [row for _, row, _ in batch]
        covered = [image[case_rows] for image in images]  # copies
        for index, (m, _, cell) in enumerate(batch):
            image = covered[m][index]
            image[_cell(cell, image.shape, cells)] = mean_colour(image)
        answers = log_softmax(logits(covered, present[case_rows]))
        for (m, row, cell), answer in zip(batch, answers, strict=True):
            maps[m][(row, *cell)] = max(0.0, whole[row] - answer[classes[row]])
    return [
        np.stack([enlarged(grid, image.shape[1:3]) for grid in grids])
        for grids, image in zip(maps, images, strict=True)
    ]


def mean_colour(image: Array) -> Array:
    """The mean colour (3,) of an image (H, W, 3), with which its parts are covered."""
    colour: Array = image.mean(axis=(0, 1)).round().astype(image.dtype)
    return colour


def _cell(cell: tuple[int, ...], shape: tuple[int, ...], cells: int) -> tuple[slice, ...]:
    """Rows and columns of one cell of an image (H, W, 3)."""
    return tuple(
        slice(round(index * side / cells), round((index + 1) * side / cells))
        for index, side in zip(cell, shape, strict=False)
    )


def enlarged(cells: Array, shape: tuple[int, int]) -> Array:
    """Enlarge a small map (g, g) to the size of the image (H, W), bilinearly."""
    large = Pillow.fromarray(cells).resize(shape[::-1], Pillow.Resampling.BILINEAR)
    return np.maximum(np.asarray(large), 0)
