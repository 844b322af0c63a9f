"""Image files to RGB pixels. What a file is, is decided by its content, never by its name."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from agfnet.errors import ImageError

# below Pillow's own refusal (179 megapixels), so that one limit holds whatever Pillow is set to
MAX_PIXELS = 150_000_000
# no format that starts another program (EPS) or draws from a description
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF")

_TOO_LARGE = f"has more than {MAX_PIXELS // 1_000_000} megapixels; save a smaller copy"

_ORIENTATION = 0x0112
_TURNS = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}


@dataclass(frozen=True, eq=False)
class Image:
    """One image, upright."""

    pixels: NDArray[np.uint8]
    """(H, W, 3), RGB."""
    mm_per_pixel: tuple[float, float] | None = None
    """Distance of neighbouring rows and of neighbouring columns, if the file states them."""


def read_image(path: str | os.PathLike[str], *, side: int | None = None) -> Image:
    """Read an image file: see `decode_image`.

    Raises:
        ImageError: the file is missing, a folder, or `decode_image` refuses its content.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            return decode_image(file, name=str(path), side=side)
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file; expected an image file") from None
    except IsADirectoryError:
        raise ImageError(f"{path}: is a folder; expected an image file") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"{path}: cannot be read: {error}") from None


def decode_image(file: BinaryIO, *, name: str, side: int | None = None) -> Image:
    """Decode JPEG, PNG, TIFF, WebP, BMP or GIF, as 8-bit RGB, upright by its EXIF orientation.

    Of several frames the first is taken. Transparent parts become black, as the borders of a
    padded image are. 16-bit grey is scaled from its full range (65535 becomes 255), unless no
    pixel exceeds 255: then it holds 8-bit values as they are. CMYK is converted without a
    colour profile, and embedded profiles (ICC) are ignored: the pixels of the file count.

    Args:
        file: seekable, at its beginning.
        name: what error messages call the file.
        side: decode a JPEG at a half, a quarter or an eighth of its size (much faster) as long
            as both sides keep at least so many pixels; other kinds are decoded whole.

    Raises:
        ImageError: empty, truncated, damaged, too large, or of an unsupported kind.
    """
    _check_kind(file.read(132), name)
    file.seek(0)
    with warnings.catch_warnings():
        # by module, not by category: should another thread restore filters in between (they are
        # global before Python 3.14), no more than this harmless one can stay behind
        warnings.filterwarnings("ignore", module=r"PIL\.")
        try:
            pixels = _decode(file, side)
        except ImageError as error:
            raise ImageError(f"{name}: {error}") from None
        except Pillow.DecompressionBombError:
            raise ImageError(f"{name}: {_TOO_LARGE}") from None
        except Exception as error:  # decoders raise anything on damaged files
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ImageError(f"{name}: is damaged or truncated: {reason}") from error
    return Image(pixels=pixels)


def _check_kind(head: bytes, name: str) -> None:
    if not head:
        raise ImageError(f"{name}: is empty; copy the image again")
    if head[128:132] == b"DICM":
        raise ImageError(f"{name}: is DICOM, which is not supported yet; export it as PNG")
    if head[4:8] == b"ftyp":
        raise ImageError(f"{name}: is HEIC, AVIF or a video; save it as JPEG")


def _decode(file: BinaryIO, side: int | None) -> NDArray[np.uint8]:
    try:
        image: Pillow.Image = Pillow.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        raise ImageError("is not an image; expected JPEG, PNG, TIFF, WebP, BMP or GIF") from None
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(_TOO_LARGE)
    if side is not None:
        image.draft(None, (side, side))  # does nothing unless it is a JPEG
    image.load()
    try:
        # only now: a PNG may keep EXIF behind its pixels
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged metadata does not make the pixels unreadable
        turn = None
    image = _to_rgb(image)
    return np.asarray(image if turn is None else image.transpose(turn))


def _to_rgb(image: Pillow.Image) -> Pillow.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return Pillow.fromarray(_to_8_bit(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        black = Pillow.new("RGBA", image.size, (0, 0, 0, 255))
        image = Pillow.alpha_composite(black, image)
    return image.convert("RGB")


def _to_8_bit(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65535:
        raise ImageError("has pixels of more than 16 bits; save it with 8 or 16 bits per channel")
    if values.max() > 255:
        values = (values.astype(np.uint32) + 128) // 257
    return values.astype(np.uint8)
