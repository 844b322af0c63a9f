"""Where the pixels of a prepared image lie in the image that it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True, eq=False)
class Geometry:
    """The way from an upright image to the square that the network sees, and back.

    A part of the image is resampled to a rectangle of the square, and then every column may move
    up or down. Since the part is given in shares of the image, the same geometry holds for a
    reduced copy of it.
    """

    size: int
    """Side of the square, in pixels."""
    box: Box
    """The part that is seen, in shares of the width and the height of the image."""
    place: Box
    """The rectangle of the square that it fills, in pixels."""
    moves: NDArray[np.int_]
    """(size,), rows by which each column moved down."""

    def to_image(self, values: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.float32]:
        """Values of the square (size, size) at the pixels of the image (H, W), linear between.

        nan where the network sees nothing of the image.
        """
        from scipy.ndimage import map_coordinates  # takes long to load

        height, width = shape
        across = (np.arange(width) + 0.5) / width
        down = (np.arange(height) + 0.5) / height
        left, top, right, bottom = self.box
        columns = _between(across, (left, right), (self.place[0], self.place[2])) - 0.5
        rows = _between(down, (top, bottom), (self.place[1], self.place[3])) - 0.5
        nearest = np.clip(np.rint(columns).astype(int), 0, self.size - 1)
        moved = rows[:, None] + self.moves[nearest]  # (H, W)
        at = np.stack([moved, np.broadcast_to(columns, shape)])
        found = map_coordinates(np.asarray(values, np.float32), at, order=1, mode="nearest")
        seen = ((down >= top) & (down <= bottom))[:, None] & (across >= left) & (across <= right)
        seen &= (moved >= -0.5) & (moved <= self.size - 0.5)
        return np.where(seen, found, np.float32(np.nan))

    def to_square(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values of the image (H, W) at the pixels of the square (size, size): nearest, else 0."""
        height, width = values.shape
        rows, columns = np.indices((self.size, self.size))
        rows = rows - self.moves
        left, top, right, bottom = self.place
        inside = (rows + 0.5 >= top) & (rows + 0.5 <= bottom)
        inside &= (columns + 0.5 >= left) & (columns + 0.5 <= right)
        across = _between(columns + 0.5, (left, right), (self.box[0], self.box[2]))
        down = _between(rows + 0.5, (top, bottom), (self.box[1], self.box[3]))
        x = np.clip((across * width).astype(int), 0, width - 1)
        y = np.clip((down * height).astype(int), 0, height - 1)
        return np.where(inside, values[y, x], values.dtype.type(0))


def _between(
    values: NDArray[Any], start: tuple[float, float], end: tuple[float, float]
) -> NDArray[np.float64]:
    """Values of one interval as those of another."""
    share = (values - start[0]) / (start[1] - start[0])
    scaled: NDArray[np.float64] = end[0] + share * (end[1] - end[0])
    return scaled
