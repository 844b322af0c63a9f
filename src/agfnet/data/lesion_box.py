"""Find a lesion in a photograph, to propose the part that the network sees.

No network is involved: the lesion is where the optical density of the three colours differs most
from that of the skin around it, after hairs and uneven light were removed. This is enough to notice
a lesion that lies outside the middle of a photograph or fills little of it. It does not outline it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from agfnet.data.paths import Box

SIDE = 160
"""Longest side of the copy that is searched, pixels."""
HAIR = 5
"""Width below which dark lines of the copy are hairs, pixels."""
MARGIN = 2.0
"""Side of the proposed square relative to the longest side of the lesion."""
SMALL = 0.2
"""Longest side of a lesion, relative to what the network sees, below which it is small."""
MIN_INSIDE = 0.9
"""Fraction of the box of a lesion that must be seen."""
MIN_DIFFERENCE = 3.0
"""Least difference of a pixel of a lesion from the skin, in standard deviations of the skin."""
MIN_CONTRAST = 7.0
"""Least mean difference of a lesion: textures and folds of skin have less."""
AREAS = (0.0004, 0.5)
"""Least and largest fraction of a photograph that a lesion fills."""

Array = NDArray[np.float32]


@dataclass(frozen=True)
class FoundLesion:
    """A lesion in a photograph."""

    box: tuple[float, float, float, float]
    """Left, top, right, bottom, in fractions of the width and the height of the photograph."""
    area: float
    """Fraction of the photograph."""
    contrast: float
    """Mean difference from the skin, in standard deviations of the skin."""
    mask: NDArray[np.bool_]
    """(h, w), in the copy that was searched."""


def whole_pixels(box: tuple[float, float, float, float], shape: tuple[int, int]) -> Box:
    """Return the smallest box of whole pixels of an image of (H, W) around one in fractions."""
    (height, width), (x0, y0, x1, y1) = shape, box
    x, y = int(x0 * width + 1e-6), int(y0 * height + 1e-6)
    return x, y, ceil(x1 * width - 1e-6) - x, ceil(y1 * height - 1e-6) - y


def is_cut(lesion: Box, seen: Box) -> bool:
    """Return whether a part of an image cuts a part of a lesion away."""
    width, height = (
        max(0, min(lesion[k] + lesion[k + 2], seen[k] + seen[k + 2]) - max(lesion[k], seen[k]))
        for k in (0, 1)
    )
    return width * height < MIN_INSIDE * lesion[2] * lesion[3]


def is_small(lesion: Box, seen: Box) -> bool:
    """Return whether a lesion fills little of a part of an image."""
    return max(lesion[2:]) < SMALL * min(seen[2:])


def propose_crop(lesion: Box, shape: tuple[int, int]) -> Box:
    """Return a square around the box of a lesion in an image of (H, W)."""
    side = min(round(MARGIN * max(lesion[2:])), *shape)
    x, y = (
        min(max(0, round(lesion[k] + lesion[k + 2] / 2 - side / 2)), shape[1 - k] - side)
        for k in (0, 1)
    )
    return x, y, side, side


def find_lesion(pixels: NDArray[np.uint8]) -> FoundLesion | None:
    """Find the most conspicuous lesion of a photograph (H, W, 3); None if nothing stands out."""
    from scipy import ndimage  # takes long to load

    image = Pillow.fromarray(pixels)
    image.thumbnail((SIDE, SIDE), Pillow.Resampling.BOX)
    small = np.asarray(image)
    if min(small.shape[:2]) < 3 * HAIR:
        return None
    score = _difference_from_skin(small)
    mask = score > max(_otsu(score), MIN_DIFFERENCE)
    mask = ndimage.binary_fill_holes(ndimage.binary_opening(mask, iterations=1))
    labels, count = ndimage.label(mask)
    if not count:
        return None
    best = 1 + int(np.argmax(_ranks(score, labels, count)))
    mask = labels == best
    rows, columns = (np.flatnonzero(mask.any(axis=1 - axis)) for axis in (0, 1))
    contrast, area = float(score[mask].mean()), float(mask.mean())
    if contrast < MIN_CONTRAST or not AREAS[0] <= area <= AREAS[1]:
        return None
    height, width = mask.shape
    box = (columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height)
    return FoundLesion(box=box, area=area, contrast=contrast, mask=mask)


def _difference_from_skin(pixels: NDArray[np.uint8]) -> Array:
    """Return the difference of each pixel from the skin, in standard deviations of the skin.

    Pigment and blood add to the optical density, light is a factor that changes slowly: a smooth
    surface, fitted to the pixels near it again and again, is the skin.

    Args:
        pixels: (H, W, 3).

    Returns:
        (H, W).
    """
    from scipy import ndimage

    without_hair = ndimage.grey_closing(pixels, size=(HAIR, HAIR, 1)).astype(np.float32)
    density = -np.log((without_hair + 8) / 263)
    density = ndimage.gaussian_filter(density, (1.5, 1.5, 0))
    height, width = pixels.shape[:2]
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1).reshape(-1, 6)
    values = density.reshape(-1, 3)
    skin = np.ones(len(values), dtype=bool)
    for _ in range(5):
        surface, *_ = np.linalg.lstsq(terms[skin], values[skin], rcond=None)
        residual = values - terms @ surface
        distance = _mahalanobis(residual, residual[skin])
        skin = distance <= np.quantile(distance, 0.6)
    return distance.reshape(height, width).astype(np.float32)


def _mahalanobis(values: NDArray[Any], reference: NDArray[Any]) -> NDArray[Any]:
    """Return the distance of values (N, 3) from reference values (M, 3), in their deviations."""
    covariance = np.cov(reference.T) + 1e-4 * np.eye(3)
    centred = values - np.median(reference, axis=0)
    squared = np.einsum("nc,cd,nd->n", centred, np.linalg.inv(covariance), centred)
    distance: NDArray[Any] = np.sqrt(squared)
    return distance


def _otsu(values: Array) -> float:
    """Return the threshold between two groups of values that differ most (Otsu 1979)."""
    counts, edges = np.histogram(np.minimum(values, np.quantile(values, 0.999)), bins=128)
    centres = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    total = np.cumsum(counts * centres)
    means = total[:-1] / np.maximum(below, 1), (total[-1] - total[:-1]) / np.maximum(above, 1)
    return float(centres[np.argmax(below * above * (means[1] - means[0]) ** 2)])


def _ranks(score: Array, labels: NDArray[np.int32], count: int) -> NDArray[np.float64]:
    """Return how likely each region is the lesion: large, different, not along the border."""
    from scipy import ndimage

    numbers = np.arange(1, count + 1)
    mass = ndimage.sum_labels(score, labels, numbers)
    border = np.ones(labels.shape, dtype=bool)
    border[1:-1, 1:-1] = False
    touching = ndimage.sum_labels(border, labels, numbers)
    perimeter = 4 * np.sqrt(ndimage.sum_labels(np.ones_like(score), labels, numbers))
    ranks: NDArray[np.float64] = mass * np.clip(1 - 3 * touching / perimeter, 0, 1)
    return ranks
