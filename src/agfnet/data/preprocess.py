"""From an image file to what the network sees: the one path of training, evaluation and serving."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from agfnet.config import Resize
from agfnet.data.readers import read_image


def prepare(pixels: NDArray[np.uint8], *, size: int, resize: Resize) -> NDArray[np.uint8]:
    """Make an image square.

    Args:
        pixels: (H, W, 3), of any height and width.
        size: side of the result, in pixels.
        resize: `crop` keeps the centre, `pad` keeps all with black borders, `stretch` keeps all
            and gives up the aspect ratio.

    Returns:
        (size, size, 3), resampled with antialiasing (bicubic).

    Raises:
        ValueError: the shape, the data type, `size` or `resize` is wrong.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise ValueError(f"pixels are {pixels.shape} {pixels.dtype}, expected (H, W, 3) uint8")
    if size < 1:
        raise ValueError(f"size is {size}, expected at least 1")
    height, width = pixels.shape[:2]
    long, short = max(height, width), min(height, width)
    if resize == "crop":
        left, top = (width - short) / 2, (height - short) / 2
        return _resample(pixels, (size, size), box=(left, top, left + short, top + short))
    if resize == "stretch":
        return _resample(pixels, (size, size), box=(0, 0, width, height))
    if resize == "pad":
        inner = max(1, round(size * width / long)), max(1, round(size * height / long))
        left, top = (size - inner[0]) // 2, (size - inner[1]) // 2
        square = np.zeros((size, size, 3), dtype=np.uint8)
        image = _resample(pixels, inner, box=(0, 0, width, height))
        square[top : top + inner[1], left : left + inner[0]] = image
        return square
    raise ValueError(f"resize is {resize!r}, expected crop, pad or stretch")


def _resample(
    pixels: NDArray[np.uint8], size: tuple[int, int], *, box: tuple[float, float, float, float]
) -> NDArray[np.uint8]:
    """The `box` (left, top, right, bottom) of (H, W, 3) at the new `size` (width, height)."""
    image = Pillow.fromarray(pixels)
    resized = image.resize(size, Pillow.Resampling.BICUBIC, box=box, reducing_gap=3.0)
    return np.asarray(resized)


def normalise(
    pixels: NDArray[np.uint8], *, mean: Sequence[float], std: Sequence[float]
) -> NDArray[np.float32]:
    """Scale pixels to 0..1, subtract the mean and divide by the deviation of each channel.

    Args:
        pixels: (..., H, W, 3).
        mean: per RGB channel, on a 0 to 1 scale.
        std: likewise.

    Returns:
        (..., 3, H, W), contiguous.
    """
    offset = np.asarray(mean, dtype=np.float32).reshape(3, 1, 1)
    scale = np.asarray(std, dtype=np.float32).reshape(3, 1, 1)
    planes = np.moveaxis(pixels, -1, -3).astype(np.float32, order="C")
    planes *= 1 / (255 * scale)
    planes -= offset / scale
    return planes


def load(path: str | os.PathLike[str], *, size: int, resize: Resize) -> NDArray[np.uint8]:
    """Read an image file and make it square: (size, size, 3).

    Raises:
        ImageError: the file is not a readable image.
        ValueError: `size` or `resize` is wrong.
    """
    return prepare(read_image(path, side=size).pixels, size=size, resize=resize)
