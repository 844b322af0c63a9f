"""From an image file to what the network sees: the one path of training, evaluation and serving."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from agfnet.config import ModalityConfig, Resize
from agfnet.data.dicom import Spacing
from agfnet.data.readers import Image, StrPath, read_image
from agfnet.errors import ImageError


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


def at_scale(
    pixels: NDArray[np.uint8], spacing: Spacing, *, size: int, mm_per_pixel: float
) -> NDArray[np.uint8]:
    """Bring an image to a common scale.

    Args:
        pixels: (H, W, 3).
        spacing: of its rows and of its columns, millimetres.
        size: width of the result, in pixels, and its least height.
        mm_per_pixel: scale of the result.

    Returns:
        (size to 2 size, size, 3): the middle of the image and its upper part, with black where it
        ends. The rows beyond `size` are what an image that is moved up needs from below.
    """
    height, width = pixels.shape[:2]
    row, column = mm_per_pixel / spacing[0], mm_per_pixel / spacing[1]  # source pixels
    wide, high = min(width, size * column), min(height, 2 * size * row)
    inner = max(1, round(wide / column)), max(1, round(high / row))
    left = (width - wide) / 2
    square = np.zeros((max(size, inner[1]), size, 3), dtype=np.uint8)
    start = (size - inner[0]) // 2
    square[: inner[1], start : start + inner[0]] = _resample(
        pixels, inner, box=(left, 0, left + wide, high)
    )
    return square


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
    reduced = None if modality.remove_marks or modality.crop_field else size
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
        ImageError: a common scale is asked for, and the image states none.
    """
    from agfnet.data.ultrasound import align_skin, crop_field, remove_marks  # loads scipy

    pixels = image.pixels
    if modality.crop_field:
        pixels = crop_field(pixels)
    if modality.remove_marks:
        pixels = remove_marks(pixels)
    if modality.mm_per_pixel is None:
        square = prepare(pixels, size=size, resize=modality.resize)
    elif image.spacing is None:
        raise ImageError(
            f"{name}: does not state its scale, which mm_per_pixel needs; give DICOM with a pixel "
            "spacing, or leave mm_per_pixel out"
        )
    else:
        scale = modality.mm_per_pixel
        square = at_scale(pixels, image.spacing, size=size, mm_per_pixel=scale)
    if modality.skin != "keep":
        depth = modality.skin_depth * size
        square = align_skin(square, depth=depth, flatten=modality.skin == "flatten")
    return square[:size]
