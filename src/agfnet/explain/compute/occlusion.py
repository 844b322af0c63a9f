"""Where the evidence for an answer lies, found from the answers alone: by covering parts.

This works with every network and every backend. A backend that knows its gradients offers a finer
map at the price of one pass (`agfnet.explain.compute.maps`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import numpy as np
from PIL import Image as Pillow
from scipy.special import log_softmax

Array = np.ndarray[Any, Any]
Logits = Callable[[Sequence[Array], Array], Array]

CELLS = 7  # per side
BATCH = 64


def occlusion(
    logits: Logits, images: Sequence[Array], present: Array, classes: Array, *, cells: int = CELLS
) -> list[Array]:
    """What covering each cell of a grid takes from the log-probability of a class.

    Covered means filled with the mean colour of the image. What raises the probability counts as
    no evidence. Zeiler and Fergus, "Visualizing and understanding convolutional networks",
    ECCV 2014.

    Args:
        logits: of a backend.
        images: per modality (B, H, W, 3) uint8, prepared.
        present: (B, M).
        classes: (B,), whose evidence is asked for.
        cells: of the grid, per side.

    Returns:
        Per modality (B, H, W), 0 or more, smooth between the middles of the cells; 0 where a
        modality is missing.
    """
    rows = np.arange(len(classes))
    whole = log_softmax(logits(images, present), axis=1)[rows, classes]
    maps = [np.zeros((len(classes), cells, cells), dtype=np.float32) for _ in images]
    work = iter(
        (m, row, cell)
        for m in range(len(images))
        for row in rows[present[:, m]]
        for cell in np.ndindex(cells, cells)
    )
    while batch := list(islice(work, BATCH)):
        chosen = [row for _, row, _ in batch]
        covered = [image[chosen] for image in images]  # copies
        for place, (m, _, cell) in enumerate(batch):
            image = covered[m][place]
            image[_cell(cell, image.shape, cells)] = blank(image)
        answers = log_softmax(logits(covered, present[chosen]), axis=1)
        for (m, row, cell), answer in zip(batch, answers, strict=True):
            maps[m][(row, *cell)] = max(0.0, whole[row] - answer[classes[row]])
    return [
        np.stack([enlarged(one, image.shape[1:3]) for one in part])
        for part, image in zip(maps, images, strict=True)
    ]


def blank(image: Array) -> Array:
    """The mean colour (3,) of an image (H, W, 3): what covers a part of it."""
    colour: Array = image.mean(axis=(0, 1)).round().astype(image.dtype)
    return colour


def _cell(cell: tuple[int, ...], shape: tuple[int, ...], cells: int) -> tuple[slice, ...]:
    """Rows and columns of one cell of an image (H, W, 3)."""
    return tuple(
        slice(round(place * side / cells), round((place + 1) * side / cells))
        for place, side in zip(cell, shape, strict=False)
    )


def enlarged(cells: Array, shape: tuple[int, int]) -> Array:
    """A small map (g, g) at the size of the image (H, W), linear between middles of cells."""
    large = Pillow.fromarray(cells).resize(shape[::-1], Pillow.Resampling.BILINEAR)
    return np.maximum(np.asarray(large), 0)
