"""Positions of the pixels of a prepared image in the image that it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True, eq=False)
class Geometry:
    """Mapping between an upright image and the square that the network sees.

    A part of the image is resampled to a rectangle of the square, and then every column may move
    up or down. The part is given in fractions of the image, so that the same geometry holds for a
    reduced copy of it.
    """

    size: int
    """Side of the square, in pixels."""
    box: Box
    """The part that is seen, in fractions of the width and the height of the image."""
    rectangle: Box
    """The rectangle of the square that it fills, in pixels."""
    moves: NDArray[np.int_]
    """(size,), rows by which each column moved down."""

    def to_image(self, values: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.float32]:
        """Interpolate values of the square (size, size) at the pixels of the image (H, W).

        They are nan where the network does not see the image.
        """
        from scipy.ndimage import map_coordinates  # takes long to load

        height, width = shape
        across = (np.arange(width) + 0.5) / width
        down = (np.arange(height) + 0.5) / height
        x0, y0, x1, y1 = self.box
        columns = _between(across, (x0, x1), self.rectangle[::2]) - 0.5
        rows = _between(down, (y0, y1), self.rectangle[1::2]) - 0.5
        nearest = np.clip(np.rint(columns).astype(int), 0, self.size - 1)
        moved = rows[:, None] + self.moves[nearest]  # (H, W)
        at = np.stack([moved, np.broadcast_to(columns, shape)])
        interpolated = map_coordinates(np.asarray(values, np.float32), at, order=1, mode="nearest")
        seen = ((down >= y0) & (down <= y1))[:, None] & (across >= x0) & (across <= x1)
        seen &= (moved >= -0.5) & (moved <= self.size - 0.5)
        return np.where(seen, interpolated, np.float32(np.nan))

    def to_square(self, values: NDArray[Any]) -> NDArray[Any]:
        """Take values of the image (H, W) at the pixels of the square (size, size); 0 outside."""
        height, width = values.shape
        rows, columns = np.indices((self.size, self.size))
        rows = rows - self.moves
        x0, y0, x1, y1 = self.rectangle
        inside = (rows + 0.5 >= y0) & (rows + 0.5 <= y1)
        inside &= (columns + 0.5 >= x0) & (columns + 0.5 <= x1)
        across = _between(columns + 0.5, (x0, x1), self.box[::2])
        down = _between(rows + 0.5, (y0, y1), self.box[1::2])
        x = np.clip((across * width).astype(int), 0, width - 1)
        y = np.clip((down * height).astype(int), 0, height - 1)
        return np.where(inside, values[y, x], values.dtype.type(0))


def _between(
    values: NDArray[Any], start: tuple[float, ...], end: tuple[float, ...]
) -> NDArray[np.float64]:
    """Map values from one interval (first, last) linearly to another."""
    fraction = (values - start[0]) / (start[1] - start[0])
    scaled: NDArray[np.float64] = end[0] + fraction * (end[1] - end[0])
    return scaled
