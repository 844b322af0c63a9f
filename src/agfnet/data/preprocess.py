"""Preparation of an image for the network, the same in training, evaluation and serving."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from agfnet.config import ModalityConfig, Resize
from agfnet.data.dicom_geometry import Spacing
from agfnet.data.geometry import Geometry
from agfnet.data.paths import MIN_SIDE, StrPath
from agfnet.data.readers import Image, read_image
from agfnet.errors import ImageError


def prepare(pixels: NDArray[np.uint8], *, size: int, resize: Resize) -> NDArray[np.uint8]:
    """Make an image square.

    Args:
        pixels: (H, W, 3), of any height and width.
        size: side of the result, in pixels.
        resize: `crop` keeps the centre, `pad` keeps all with black borders, `stretch` keeps all
            and changes the aspect ratio.

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


def seen_part(
    shape: tuple[int, int], resize: Resize, aspect: float = 1
) -> tuple[float, float, float, float]:
    """Return the part of an image of (H, W) that is kept: left, top, right, bottom."""
    return _squared(shape, 1, resize, aspect).box


class _Fit(NamedTuple):
    """Placement of a part of an image on a canvas, in pixels."""

    box: tuple[float, float, float, float]  # of the image: left, top, right, bottom
    rectangle: tuple[int, int, int, int]  # of the canvas, likewise
    canvas: tuple[int, int]  # height, width


def _squared(shape: tuple[int, ...], size: int, resize: Resize, aspect: float = 1) -> _Fit:
    """Return the placement that makes an image (H, W, ...) square: see `prepare`.

    `aspect` is the height of its pixels relative to their width.
    """
    rows, columns = shape[:2]
    height, width = rows * aspect, columns
    long, short = max(height, width), min(height, width)
    whole, square = (0, 0, size, size), (size, size)
    if resize == "crop":
        x, y = (width - short) / 2, (height - short) / 2
        return _Fit((x, y / aspect, x + short, (y + short) / aspect), whole, square)
    if resize == "stretch":
        return _Fit((0, 0, columns, rows), whole, square)
    if resize == "pad":
        inner = max(1, round(size * width / long)), max(1, round(size * height / long))
        start = (size - inner[0]) // 2, (size - inner[1]) // 2
        end = start[0] + inner[0], start[1] + inner[1]
        return _Fit((0, 0, columns, rows), (*start, *end), square)
    raise ValueError(f"resize is {resize!r}, expected crop, pad or stretch")


def _scaled(shape: tuple[int, ...], spacing: Spacing, size: int, pixel_spacing: float) -> _Fit:
    """Return the placement that brings an image (H, W, ...) to a common scale.

    Args:
        shape: of the image.
        spacing: of its rows and of its columns, millimetres.
        size: width of the canvas, in pixels.
        pixel_spacing: scale of the canvas.

    Returns:
        The placement on a canvas (size to 2 size, size): the middle of the image and its upper
        part, with black where it ends. The rows beyond `size` are what an image that is moved up
        needs from below.
    """
    height, width = shape[:2]
    row, column = pixel_spacing / spacing[0], pixel_spacing / spacing[1]  # source pixels
    wide, high = min(width, size * column), min(height, 2 * size * row)
    inner = max(1, round(wide / column)), max(1, round(high / row))
    x, start = (width - wide) / 2, (size - inner[0]) // 2
    return _Fit(
        (x, 0, x + wide, high),
        (start, 0, start + inner[0], inner[1]),
        (max(size, inner[1]), size),
    )


def _lay(pixels: NDArray[np.uint8], fit: _Fit) -> NDArray[np.uint8]:
    """Place an image (H, W, 3) on its canvas, black around it."""
    x0, y0, x1, y1 = fit.rectangle
    part = _resample(pixels, (x1 - x0, y1 - y0), box=fit.box)
    if part.shape[:2] == fit.canvas:
        return part
    canvas = np.zeros((*fit.canvas, 3), dtype=np.uint8)
    canvas[y0:y1, x0:x1] = part
    return canvas


def _resample(
    pixels: NDArray[np.uint8], size: tuple[int, int], *, box: tuple[float, float, float, float]
) -> NDArray[np.uint8]:
    """Resample the `box` (left, top, right, bottom) of (H, W, 3) to `size` (width, height)."""
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
    # an image from which annotations are to be removed must come as it is in the file
    reduced = None if modality.remove_annotations or modality.crop_field_of_view else size
    return read_image(path, side=reduced, region=modality.region)


def check_size(pixels: NDArray[np.uint8], name: object) -> None:
    """Refuse an image (H, W, 3) in which nothing can be seen.

    Raises:
        ImageError: it has fewer than `MIN_SIDE` rows or columns.
    """
    height, width = pixels.shape[:2]
    if min(height, width) < MIN_SIDE:
        raise ImageError(
            f"{name}: is {width} x {height} pixels, too small; expected at least {MIN_SIDE} pixels "
            "in width and in height"
        )


def prepare_image(
    image: Image, *, name: str, size: int, modality: ModalityConfig
) -> NDArray[np.uint8]:
    """Apply the steps that the configuration of a modality asks for, in the order of its fields.

    A box that was chosen for an image takes the place of the search for the field of view.

    Args:
        image: as it was read.
        name: the name of the image in error messages.
        size: side of the result, in pixels.
        modality: the configuration.

    Returns:
        (size, size, 3).

    Raises:
        ImageError: the image has fewer than `MIN_SIDE` rows or columns, or has no pixel spacing
            although a common scale is asked for.
    """
    # loading scipy takes as long as reading a model: only where it is needed
    pixels = image.pixels
    check_size(pixels, name)
    if modality.crop_field_of_view and not image.boxed:
        from agfnet.data.ultrasound import crop_field_of_view

        pixels = crop_field_of_view(pixels)
    if modality.remove_annotations:
        from agfnet.data.ultrasound import remove_annotations

        pixels = remove_annotations(pixels)
    square = _lay(pixels, _fit(pixels.shape, image, name=name, size=size, modality=modality))
    if modality.skin_surface != "keep":
        from agfnet.data.ultrasound import align_skin_surface

        depth = modality.skin_surface_depth * size
        square = align_skin_surface(square, depth=depth, flatten=modality.skin_surface == "flatten")
    return square[:size]


def _fit(
    shape: tuple[int, ...], image: Image, *, name: str, size: int, modality: ModalityConfig
) -> _Fit:
    """Return the placement of pixels (H, W, ...) in the square."""
    if modality.pixel_spacing is None:
        return _squared(shape, size, modality.resize, image.aspect)
    if image.spacing is None:
        raise ImageError(
            f"{name}: does not state its scale, which pixel_spacing needs; give DICOM with a pixel "
            "spacing, or leave pixel_spacing out"
        )
    return _scaled(shape, image.spacing, size, modality.pixel_spacing)


def locate(image: Image, *, name: str, size: int, modality: ModalityConfig) -> Geometry:
    """Return the geometry of `prepare_image`, for the same arguments and with the same errors."""
    from agfnet.data.ultrasound import (
        align_skin_surface,
        crop_field_of_view,
        remove_annotations,
    )  # loads scipy

    pixels = image.pixels
    height, width = pixels.shape[:2]
    first_row = first_column = 0
    if modality.crop_field_of_view and not image.boxed:
        rows, columns = _sources(crop_field_of_view, pixels)
        first_row = int(rows[rows >= 0].min())
        first_column = int(columns[columns >= 0].min())
        pixels = crop_field_of_view(pixels)
    fit = _fit(pixels.shape, image, name=name, size=size, modality=modality)
    moves = np.zeros(size, dtype=np.int_)
    if modality.skin_surface != "keep":
        clean = remove_annotations(pixels) if modality.remove_annotations else pixels
        depth, flatten = modality.skin_surface_depth * size, modality.skin_surface == "flatten"
        rows, _ = _sources(
            partial(align_skin_surface, depth=depth, flatten=flatten), _lay(clean, fit)
        )
        moved = np.arange(len(rows))[:, None] - rows
        # all rows of a column move alike, and at least one of them stays in the image
        moves = np.where(rows >= 0, moved, -len(rows)).max(axis=0)
    x0, y0, x1, y1 = fit.box
    return Geometry(
        size=size,
        box=(
            *((first_column + x0) / width, (first_row + y0) / height),
            *((first_column + x1) / width, (first_row + y1) / height),
        ),
        rectangle=fit.rectangle,
        moves=moves,
    )


def _sources(
    step: Callable[[NDArray[Any]], NDArray[Any]], pixels: NDArray[np.uint8]
) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Return the row and column, (H', W') each, of the pixels that a step took; -1 for black.

    They are carried along as two channels below 0: the step looks at the brightest channel of a
    pixel, so that they do not change its result.
    """
    rows, columns = np.indices(pixels.shape[:2])
    moved = step(np.dstack([pixels, -1 - rows, -1 - columns]).astype(np.float32))
    return -1 - moved[..., 3].astype(np.int_), -1 - moved[..., 4].astype(np.int_)
