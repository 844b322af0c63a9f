"""Image files to RGB pixels. The content of a file decides its type, never its name."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from agfnet.data import tiff
from agfnet.data.blank_end import check_blank_end
from agfnet.data.colours import to_rgb
from agfnet.data.decoding import decoder_errors
from agfnet.data.dicom import (
    count_dicom_frames,
    dicom_size,
    is_dicom,
    no_such_frame,
    read_dicom,
)
from agfnet.data.dicom_geometry import Spacing
from agfnet.data.file_types import name_of_type, unsupported_file_type
from agfnet.data.heic import FORMAT, is_heic, register_heic
from agfnet.data.jpeg import check_end, check_holes
from agfnet.data.paths import BOX_MARK, Box, StrPath, check_box, named_frame, split_box
from agfnet.data.png import check_pixels
from agfnet.errors import ImageError

# below Pillow's own refusal (179 megapixels), so that one limit holds whatever Pillow is set to
MAX_PIXELS = 150_000_000
# pixels from which an image is reduced before it leaves Pillow
LARGE = 4_000_000
# no format that starts another program (EPS) or draws from a description
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF")

_ANIMATED = ("GIF", "PNG", "WebP")
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


T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Image:
    """One image, upright."""

    pixels: NDArray[np.uint8]
    """(H, W, 3), RGB."""
    spacing: Spacing | None = None
    """Pixel spacing between rows and between columns in millimetres, if the file states it."""
    aspect: float = 1.0
    """Height of a pixel relative to its width: DICOM may have pixels that are not square."""
    boxed: bool = False
    """The pixels are the box that the path names."""


def read_image(
    path: StrPath, *, side: int | None = None, frame: int = 0, region: bool = True
) -> Image:
    """Read an image file: see `decode_image`.

    A path may name one frame of its file, as `scan.dcm#3` does; it then has this frame only, and
    its number is 0. It may also name a box (see `agfnet.data.paths`), of which alone the image then
    consists; `region` has no effect on it.

    Raises:
        ImageError: the file is missing or a folder, or `decode_image` refuses its content.
    """
    _, box = split_box(path)

    def decode(file: BinaryIO, name: str, named: int | None) -> Image:
        if named is not None and frame:
            raise ImageError(f"{path}: {no_such_frame(frame, 1)}")
        number = frame if named is None else named
        return decode_image(file, name=name, side=side, frame=number, region=region, box=box)

    return _open(path, decode)


def upright_size(path: StrPath) -> tuple[int, int]:
    """Return the width and height of an upright image, from its header alone, without any box.

    Raises:
        ImageError: the file is missing or a folder, or its header cannot be read.
    """

    def size(file: BinaryIO, name: str, named: int | None) -> tuple[int, int]:
        with _named(name):
            if is_dicom(_head(file)):
                return dicom_size(file)
            image = _open_picture(file, named or 0)
            # Pillow turns TIFF itself, and states the size that it then has
            return _upright(image.size, None if image.format == "TIFF" else _turn(image))

    return _open(path, size)


def count_frames(path: StrPath) -> int:
    """Return the number of frames of an image file, from its header alone.

    It is 1 except for multi-frame DICOM and TIFF with several pages: the pictures of an animation
    (GIF, WebP, PNG) and the additional ones in a camera's JPEG (MPO) are not frames of a scan. It
    is also 1 where the path itself names one frame: `scan.dcm#3`.

    Raises:
        ImageError: the file is missing or a folder, its header cannot be read, or it does not have
            the frame that the path names.
    """

    def count(file: BinaryIO, name: str, named: int | None) -> int:
        frames = _count(file, name)
        if named is None:
            return frames
        if named >= frames:
            raise ImageError(f"{name}: {no_such_frame(named, frames)}")
        return 1

    return _open(path, count)


def is_animation(path: StrPath) -> bool:
    """Return whether a file is an animation, of which only the first picture is read.

    Raises:
        ImageError: the file is missing or a folder, or its header cannot be read.
    """

    def look(file: BinaryIO, name: str, _: int | None) -> bool:
        with _named(name):
            if name_of_type(_head(file)) not in _ANIMATED:
                return False
            return bool(getattr(_open_picture(file, 0), "is_animated", False))

    return _open(path, look)


def _open(path: StrPath, use: Callable[[BinaryIO, str, int | None], T]) -> T:
    """Open the file of a path and call `use` with it, its name and the frame that it names."""
    try:
        path, named = named_frame(path)
        file = path.open("rb")
    except FileNotFoundError:
        if BOX_MARK in str(path):
            text = "or the box is not written as in photo.jpg#xywh=40,60,800,800"
            raise ImageError(f"{path}: no such file, {text}") from None
        raise ImageError(f"{path}: no such file; expected an image file") from None
    except IsADirectoryError:
        raise ImageError(f"{path}: is a folder; expected an image file") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"{path}: cannot be read: {error}") from None
    with file:
        return use(file, str(path), named)


def decode_image(
    file: BinaryIO,
    *,
    name: str,
    side: int | None = None,
    frame: int = 0,
    region: bool = True,
    box: Box | None = None,
) -> Image:
    """Decode JPEG, PNG, TIFF, WebP, BMP, GIF, HEIC or DICOM, as 8-bit RGB, upright by its EXIF.

    Transparent parts become black, as the borders of a padded image are; transparency that hides
    the whole image is ignored. 16 bits are scaled to 8 by the bits that the values use: 8, 10, 12,
    14 or 16. CMYK is converted without a colour profile, and embedded profiles (ICC) are ignored:
    the pixels of the file count. DICOM: see `agfnet.data.dicom.read_dicom`.

    Args:
        file: seekable, at its beginning.
        name: the name of the file in error messages.
        side: reduce a large photo, as long as both sides keep at least this many pixels. A JPEG is
            decoded at a half, a quarter or an eighth of its size, which is much faster and needs
            little memory; the others must be decoded whole (4 bytes per pixel, WebP 16) and are
            reduced from there if they have more than 4 megapixels. DICOM stays whole.
        frame: number of the frame, from 0, below `count_frames`.
        region: crop DICOM to the region of the ultrasound image that it states.
        box: the part of the upright image to return, instead of such a region.

    Raises:
        ImageError: the file is empty, truncated, damaged, too large, of an unsupported type, or
            has no such frame; or the box ends beyond the image.
    """
    with _named(name):
        if not is_dicom(_head(file)):
            return Image(_decode(file, side, frame, box), boxed=box is not None)
        pixels, spacing, aspect = read_dicom(file, frame=frame, region=region and box is None)
        if box is not None:
            x, y, width, height = _checked(box, (pixels.shape[1], pixels.shape[0]))
            pixels = np.ascontiguousarray(pixels[y : y + height, x : x + width])
        return Image(pixels, spacing, aspect, boxed=box is not None)


def _checked(box: Box, size: tuple[int, int]) -> Box:
    """Return a box that lies within an image of a width and height."""
    try:
        check_box(box, size)
    except ValueError as error:
        raise ImageError(str(error)) from None
    return box


def _count(file: BinaryIO, name: str) -> int:
    with _named(name):
        head = _head(file)
        if is_dicom(head):
            return count_dicom_frames(file)
        if head[:4] in tiff.MAGIC:
            return len(tiff.frames(tiff.directories(file)))
        return 1


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Put the name of the file before each `ImageError`; warnings of decoders are lost."""
    with warnings.catch_warnings():
        # by module, not by category: should another thread restore filters in between (they are
        # global before Python 3.14), no more than these harmless ones can stay behind
        warnings.filterwarnings("ignore", module=r"(PIL|pydicom|openjpeg|jpeg_ls)\b")
        try:
            yield
        except ImageError as error:
            raise ImageError(f"{name}: {error}") from None


def _head(file: BinaryIO) -> bytes:
    """Return the first bytes, which tell DICOM from the other file types."""
    head = file.read(132)
    file.seek(0)
    if not head:
        raise ImageError("is empty; copy the image again")
    if not is_heic(head) and (message := unsupported_file_type(head)):
        raise ImageError(message)
    return head


def _open_picture(file: BinaryIO, frame: int) -> Pillow.Image:
    """Open one frame of a file that is not DICOM; no pixels are decoded yet."""
    head = _head(file)
    page = None
    if head[:4] in tiff.MAGIC:
        pages = tiff.directories(file)
        numbers = tiff.frames(pages)
        if frame >= len(numbers):
            raise no_such_frame(frame, len(numbers))
        page, frame = pages[numbers[frame]], numbers[frame]
        tiff.check_data(page)
    elif frame:
        raise no_such_frame(frame, 1)
    formats: tuple[str, ...] = FORMATS
    if is_heic(head):
        register_heic()
        formats = (FORMAT,)
    with decoder_errors():
        try:
            file.seek(0)
            image = Pillow.open(file, formats=formats)
            if frame:  # the main image of a HEIC file is not always its first
                image.seek(frame)
        except (UnidentifiedImageError, SyntaxError):  # the second for another page than the first
            raise ImageError(_unidentified(file, head, page)) from None
        except Pillow.DecompressionBombError:
            raise ImageError(_TOO_LARGE) from None
        if page is not None:
            tiff.correct_tiles(image, page)
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(_TOO_LARGE)
    return image


def _unidentified(file: BinaryIO, head: bytes, page: tiff.Directory | None) -> str:
    """Return why Pillow does not know a file."""
    if page is not None:
        what = f"TIFF ({tiff.describe(page)})"
        return f"is {what}, which cannot be decoded; save it with 8 bits per sample"
    if is_heic(head):
        return "is HEIC that is damaged or cannot be decoded; copy it again, or save it as JPEG"
    if head.startswith(b"\xff\xd8\xff"):
        precision, _ = _jpeg_frame(file)
        if precision not in (0, 8):
            return f"is JPEG of {precision} bits per sample; save it with 8 bits"
    return "is not an image; expected JPEG, PNG, TIFF, WebP, BMP, GIF, HEIC or DICOM"


def _jpeg_frame(file: BinaryIO) -> tuple[int, int]:
    """Return the bits per sample and the process of a JPEG (3 is lossless), 0 if none is found."""
    file.seek(2)
    while len(segment := file.read(4)) == 4 and segment[0] == 0xFF:
        marker = segment[1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return next(iter(file.read(1)), 0), marker - 0xC0
        file.seek(int.from_bytes(segment[2:]) - 2, os.SEEK_CUR)
    return 0, 0


def _decode(file: BinaryIO, side: int | None, frame: int, box: Box | None) -> NDArray[np.uint8]:
    image = _open_picture(file, frame)
    stored = image.size
    if box is not None and image.format == "JPEG":
        _checked(box, _upright(stored, _turn(image)))  # before the pixels are decoded
    reduced: tuple[int, int] | None = None
    # a lossless JPEG cannot be decoded at reduced size
    if side is not None and image.format == "JPEG" and _jpeg_frame(file)[1] != 3:
        # the part that is used keeps at least `side` pixels
        scale = side / min(box[2:] if box else stored)
        draft = (round(stored[0] * scale), round(stored[1] * scale))
        reduced = draft if box else (side, side)
        image.draft(None, reduced)
    raw_mode = _raw_mode(image)
    upwards = image.format == "BMP" and image.tile[0].args[-1] == -1  # type: ignore[attr-defined]
    if image.format == "PNG":
        check_pixels(file)
    if image.format in ("JPEG", "MPO", "WEBP", FORMAT):
        check_holes(file, image.format)
    _load(image)
    if image.format == "BMP" or (image.format == "TIFF" and not tiff.is_tiled(image)):
        check_blank_end(np.asarray(image)[::-1] if upwards else np.asarray(image))
    if image.format == "JPEG":
        with decoder_errors():
            check_end(file, image, reduced)
    turn = _turn(image)  # only now: a PNG may keep EXIF behind its pixels
    rgb = to_rgb(image, partial(_low_bytes, file, frame, raw_mode) if ";16" in raw_mode else None)
    if box is not None:
        rgb = rgb if turn is None else rgb.transpose(turn)
        rgb = _cut(rgb, _checked(box, _upright(stored, turn)), _upright(stored, turn))
        turn = None
    if side is not None and rgb.width * rgb.height > LARGE:
        # what is left is still three times too large, as much as a good resampling needs
        rgb = rgb.reduce(max(1, min(rgb.size) // (3 * side)))
    return np.asarray(rgb if turn is None else rgb.transpose(turn))


def _turn(image: Pillow.Image) -> Pillow.Transpose | None:
    """Return how to turn an image so that it is upright."""
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged metadata does not make the pixels unreadable
        return None


def _upright(size: tuple[int, int], turn: Pillow.Transpose | None) -> tuple[int, int]:
    """Return the width and height of an image after it was turned."""
    swapped = (
        *(Pillow.Transpose.TRANSPOSE, Pillow.Transpose.TRANSVERSE),
        *(Pillow.Transpose.ROTATE_90, Pillow.Transpose.ROTATE_270),
    )
    return size[::-1] if turn in swapped else size


def _cut(image: Pillow.Image, box: Box, size: tuple[int, int]) -> Pillow.Image:
    """Return a box of an image that may have been decoded at a fraction of its size."""
    x, y, width, height = box
    across, down = image.width / size[0], image.height / size[1]
    x0, y0 = round(x * across), round(y * down)
    x1, y1 = round((x + width) * across), round((y + height) * down)
    return image.crop((x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)))


def _raw_mode(image: Pillow.Image) -> str:
    """Return how the samples lie in the file, as Pillow writes it; known until they are loaded."""
    tiles = getattr(image, "tile", None)
    arguments = tiles[0].args if tiles else ""
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def _load(image: Pillow.Image) -> None:
    with decoder_errors():
        image.load()


def _low_bytes(file: BinaryIO, frame: int, raw_mode: str) -> Pillow.Image | None:
    """Decode the low bytes of an image of 16 bits per channel, or return None if Pillow cannot."""
    file.seek(0)
    image = _open_picture(file, frame)
    low = tiff.low_bytes(image, raw_mode)
    if low is None:
        return None
    image.tile = [  # type: ignore[attr-defined]
        tile._replace(args=(low, *tile.args[1:]) if isinstance(tile.args, tuple) else low)
        for tile in image.tile  # type: ignore[attr-defined]
    ]
    _load(image)
    return image
