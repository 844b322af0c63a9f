"""From an image file to what the network sees: the one path of training, evaluation and serving."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from agfnet.config import ModalityConfig, Resize
from agfnet.data.dicom import Spacing
from agfnet.data.geometry import Geometry
from agfnet.data.readers import Image, StrPath, read_image
from agfnet.errors import ImageError

MIN_SIDE = 8
"""Fewest rows and columns of an image: less is a line, such as a script that cuts images leaves."""


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
    return _lay(pixels, _squared(pixels.shape, size, resize))


class _Fit(NamedTuple):
    """Which part of an image goes where in a canvas, all in pixels."""

    box: tuple[float, float, float, float]  # left, top, right, bottom
    place: tuple[int, int, int, int]  # likewise
    canvas: tuple[int, int]  # height, width


def _squared(shape: tuple[int, ...], size: int, resize: Resize) -> _Fit:
    """How an image (H, W, ...) is made square: see `prepare`."""
    height, width = shape[:2]
    long, short = max(height, width), min(height, width)
    whole, square = (0, 0, size, size), (size, size)
    if resize == "crop":
        left, top = (width - short) / 2, (height - short) / 2
        return _Fit((left, top, left + short, top + short), whole, square)
    if resize == "stretch":
        return _Fit((0, 0, width, height), whole, square)
    if resize == "pad":
        inner = max(1, round(size * width / long)), max(1, round(size * height / long))
        x, y = (size - inner[0]) // 2, (size - inner[1]) // 2
        return _Fit((0, 0, width, height), (x, y, x + inner[0], y + inner[1]), square)
    raise ValueError(f"resize is {resize!r}, expected crop, pad or stretch")


def at_scale(
    pixels: NDArray[np.uint8], spacing: Spacing, *, size: int, pixel_spacing: float
) -> NDArray[np.uint8]:
    """Bring an image to a common scale.

    Args:
        pixels: (H, W, 3).
        spacing: of its rows and of its columns, millimetres.
        size: width of the result, in pixels, and its least height.
        pixel_spacing: scale of the result.

    Returns:
        (size to 2 size, size, 3): the middle of the image and its upper part, with black where it
        ends. The rows beyond `size` are what an image that is moved up needs from below.
    """
    return _lay(pixels, _scaled(pixels.shape, spacing, size, pixel_spacing))


def _scaled(shape: tuple[int, ...], spacing: Spacing, size: int, pixel_spacing: float) -> _Fit:
    """How an image (H, W, ...) comes to a common scale: see `at_scale`."""
    height, width = shape[:2]
    row, column = pixel_spacing / spacing[0], pixel_spacing / spacing[1]  # source pixels
    wide, high = min(width, size * column), min(height, 2 * size * row)
    inner = max(1, round(wide / column)), max(1, round(high / row))
    left, start = (width - wide) / 2, (size - inner[0]) // 2
    return _Fit(
        (left, 0, left + wide, high),
        (start, 0, start + inner[0], inner[1]),
        (max(size, inner[1]), size),
    )


def _lay(pixels: NDArray[np.uint8], fit: _Fit) -> NDArray[np.uint8]:
    """An image (H, W, 3) on its canvas, black around it."""
    left, top, right, bottom = fit.place
    part = _resample(pixels, (right - left, bottom - top), box=fit.box)
    if part.shape[:2] == fit.canvas:
        return part
    canvas = np.zeros((*fit.canvas, 3), dtype=np.uint8)
    canvas[top:bottom, left:right] = part
    return canvas


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


def load(path: StrPath, *, size: int, modality: ModalityConfig) -> NDArray[np.uint8]:
    """Read an image file and prepare it for the network: (size, size, 3).

    Raises:
        ImageError: see `read_image` and `prepare_image`.
    """
    image = read_for(path, size=size, modality=modality)
    return prepare_image(image, name=str(path), size=size, modality=modality)


def read_for(path: StrPath, *, size: int, modality: ModalityConfig) -> Image:
    """Read an image file as its preparation needs it: large photographs may come reduced.

    Raises:
        ImageError: see `read_image`.
    """
    # an image from which marks are to be removed must come as it is in the file
    reduced = None if modality.remove_annotations or modality.crop_field_of_view else size
    return read_image(path, side=reduced, region=modality.region)


def prepare_image(
    image: Image, *, name: str, size: int, modality: ModalityConfig
) -> NDArray[np.uint8]:
    """All that the configuration of a modality asks for, in the order of its fields.

    Args:
        image: as it was read.
        name: what error messages call it.
        size: side of the result, in pixels.
        modality: what to do.

    Returns:
        (size, size, 3).

    Raises:
        ImageError: the image has fewer than `MIN_SIDE` rows or columns, or has no pixel spacing
            although a common scale is asked for.
    """
    # loading scipy takes as long as reading a model: only where it is needed
    pixels = image.pixels
    if min(pixels.shape[:2]) < MIN_SIDE:
        height, width = pixels.shape[:2]
        raise ImageError(
            f"{name}: is {width} x {height} pixels, too small; expected at least {MIN_SIDE} pixels "
            "in width and in height"
        )
    if modality.crop_field_of_view:
        from agfnet.data.ultrasound import crop_field

        pixels = crop_field(pixels)
    if modality.remove_annotations:
        from agfnet.data.ultrasound import remove_marks

        pixels = remove_marks(pixels)
    square = _lay(pixels, _fit(pixels.shape, image, name=name, size=size, modality=modality))
    if modality.skin_surface != "keep":
        from agfnet.data.ultrasound import align_skin

        depth = modality.skin_surface_depth * size
        square = align_skin(square, depth=depth, flatten=modality.skin_surface == "flatten")
    return square[:size]


def _fit(
    shape: tuple[int, ...], image: Image, *, name: str, size: int, modality: ModalityConfig
) -> _Fit:
    """How pixels (H, W, ...) of an image become square, or come to a common scale."""
    if modality.pixel_spacing is None:
        return _squared(shape, size, modality.resize)
    if image.spacing is None:
        raise ImageError(
            f"{name}: does not state its scale, which pixel_spacing needs; give DICOM with a pixel "
            "spacing, or leave pixel_spacing out"
        )
    return _scaled(shape, image.spacing, size, modality.pixel_spacing)


def locate(image: Image, *, name: str, size: int, modality: ModalityConfig) -> Geometry:
    """Where `prepare_image` takes its pixels from; arguments and errors as there."""
    from agfnet.data.ultrasound import align_skin, crop_field, remove_marks  # loads scipy

    pixels = image.pixels
    height, width = pixels.shape[:2]
    top = left = 0
    if modality.crop_field_of_view:
        rows, columns = _sources(crop_field, pixels)
        top, left = int(rows[rows >= 0].min()), int(columns[columns >= 0].min())
        pixels = crop_field(pixels)
    fit = _fit(pixels.shape, image, name=name, size=size, modality=modality)
    moves = np.zeros(size, dtype=np.int_)
    if modality.skin_surface != "keep":
        clean = remove_marks(pixels) if modality.remove_annotations else pixels
        depth, flatten = modality.skin_surface_depth * size, modality.skin_surface == "flatten"
        rows, _ = _sources(partial(align_skin, depth=depth, flatten=flatten), _lay(clean, fit))
        moved = np.arange(len(rows))[:, None] - rows
        # all rows of a column move alike, and at least one of them stays in the image
        moves = np.where(rows >= 0, moved, -len(rows)).max(axis=0)
    x0, y0, x1, y1 = fit.box
    return Geometry(
        size=size,
        box=((left + x0) / width, (top + y0) / height, (left + x1) / width, (top + y1) / height),
        place=fit.place,
        moves=moves,
    )


def _sources(
    step: Callable[[NDArray[Any]], NDArray[Any]], pixels: NDArray[np.uint8]
) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Row and column, (H', W') each, that a step took its pixels from; -1 where it put black.

    They ride along as two channels below 0: the step, which looks at the brightest channel of a
    pixel, decides as it does without them.
    """
    rows, columns = np.indices(pixels.shape[:2])
    ridden = step(np.dstack([pixels, -1 - rows, -1 - columns]).astype(np.float32))
    return -1 - ridden[..., 3].astype(np.int_), -1 - ridden[..., 4].astype(np.int_)
