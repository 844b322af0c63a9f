"""Image files to RGB pixels. What a file is, is decided by its content, never by its name."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from agfnet.data.dicom import (
    Spacing,
    count_dicom_frames,
    is_dicom,
    no_such_frame,
    read_dicom,
)
from agfnet.errors import ImageError

# below Pillow's own refusal (179 megapixels), so that one limit holds whatever Pillow is set to
MAX_PIXELS = 150_000_000
# pixels from which an image is reduced before it leaves Pillow
LARGE = 4_000_000
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
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


StrPath = str | os.PathLike[str]
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Image:
    """One image, upright."""

    pixels: NDArray[np.uint8]
    """(H, W, 3), RGB."""
    spacing: Spacing | None = None
    """Millimetres per pixel, if the file states them: of neighbouring rows, and of columns."""


def read_image(
    path: StrPath, *, side: int | None = None, frame: int = 0, region: bool = True
) -> Image:
    """Read an image file: see `decode_image`.

    A path may name one frame of its file: `scan.dcm#3`. Then this is its frame 0.

    Raises:
        ImageError: the file is missing, a folder, or `decode_image` refuses its content.
    """

    def decode(file: BinaryIO, name: str, named: int | None) -> Image:
        chosen = frame
        if named is not None:
            if frame:
                raise ImageError(f"{path}: {no_such_frame(frame, 1)}")
            chosen = named
        return decode_image(file, name=name, side=side, frame=chosen, region=region)

    return _open(path, decode)


def count_frames(path: StrPath) -> int:
    """Number of frames of an image file, from its header alone.

    1 for all but multi-frame DICOM and TIFF of several pages: the pictures of an animation (GIF,
    WebP, PNG) and the further ones in a camera's JPEG (MPO) are not frames of a scan. 1 as well
    where the path itself names one frame: `scan.dcm#3`.

    Raises:
        ImageError: the file is missing, a folder, or its header cannot be read; or it has no such
            frame.
    """

    def count(file: BinaryIO, name: str, named: int | None) -> int:
        found = _count(file, name)
        if named is None:
            return found
        if named >= found:
            raise ImageError(f"{name}: {no_such_frame(named, found)}")
        return 1

    return _open(path, count)


def named_frame(path: StrPath) -> tuple[Path, int | None]:
    """The file that a path means, and the frame of it, counted from 0, that `#3` at its end names.

    A file whose own name ends like that wins.
    """
    path = path if isinstance(path, Path) else Path(path)
    name, _, number = path.name.rpartition("#")
    if name and number.isascii() and number.isdigit() and not path.exists():
        return path.with_name(name), int(number)
    return path, None


def _open(path: StrPath, use: Callable[[BinaryIO, str, int | None], T]) -> T:
    """What `use` makes of the file that a path means, its name and the frame that it names."""
    try:
        path, named = named_frame(path)
        with path.open("rb") as file:
            return use(file, str(path), named)
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file; expected an image file") from None
    except IsADirectoryError:
        raise ImageError(f"{path}: is a folder; expected an image file") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"{path}: cannot be read: {error}") from None


def decode_image(
    file: BinaryIO, *, name: str, side: int | None = None, frame: int = 0, region: bool = True
) -> Image:
    """Decode JPEG, PNG, TIFF, WebP, BMP, GIF or DICOM, as 8-bit RGB, upright by its EXIF.

    Transparent parts become black, as the borders of a padded image are. 16-bit grey is scaled
    from its full range (65535 becomes 255), unless no pixel exceeds 255: then it holds 8-bit
    values as they are. CMYK is converted without a colour profile, and embedded profiles (ICC)
    are ignored: the pixels of the file count. DICOM: see `agfnet.data.dicom.read_dicom`.

    Args:
        file: seekable, at its beginning.
        name: what error messages call the file.
        side: reduce a large photo, as long as both sides keep at least so many pixels. A JPEG is
            decoded at a half, a quarter or an eighth of its size, which is much faster and needs
            little memory; the others must be decoded whole (4 bytes per pixel, WebP 16) and are
            reduced from there if they have more than 4 megapixels. DICOM stays whole.
        frame: which frame, counted from 0, of those that `count_frames` counts.
        region: crop DICOM to the region of the ultrasound image that it states.

    Raises:
        ImageError: empty, truncated, damaged, too large, of an unsupported kind, or without such
            a frame.
    """
    with _faults(name):
        if is_dicom(_head(file)):
            return Image(*read_dicom(file, frame=frame, region=region))
        return Image(_decode(file, side, frame))


def _count(file: BinaryIO, name: str) -> int:
    with _faults(name):
        head = _head(file)
        if is_dicom(head):
            return count_dicom_frames(file)
        if head[:4] in _TIFF:
            return len(_pages(_opened(file)))
        return 1


@contextmanager
def _faults(name: str) -> Iterator[None]:
    """Errors of decoders as an `ImageError` with the name of the file; their warnings are lost."""
    with warnings.catch_warnings():
        # by module, not by category: should another thread restore filters in between (they are
        # global before Python 3.14), no more than these harmless ones can stay behind
        warnings.filterwarnings("ignore", module=r"(PIL|pydicom|openjpeg|jpeg_ls)\b")
        try:
            yield
        except ImageError as error:
            raise ImageError(f"{name}: {error}") from None
        except Pillow.DecompressionBombError:
            raise ImageError(f"{name}: {_TOO_LARGE}") from None
        except Exception as error:  # decoders raise anything on damaged files
            reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
            mend = "copy or export it again"
            raise ImageError(f"{name}: is damaged or truncated: {reason}; {mend}") from error


def _head(file: BinaryIO) -> bytes:
    """The first bytes, which tell DICOM from the rest."""
    head = file.read(132)
    file.seek(0)
    if not head:
        raise ImageError("is empty; copy the image again")
    if head[4:8] == b"ftyp":
        raise ImageError("is HEIC, AVIF or a video; save it as JPEG")
    return head


def _opened(file: BinaryIO) -> Pillow.Image:
    try:
        return Pillow.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        raise ImageError(
            "is not an image; expected JPEG, PNG, TIFF, WebP, BMP, GIF or DICOM"
        ) from None


def _pages(image: Pillow.Image) -> list[int]:
    """Pages of a TIFF that are frames: as large as the first and of its kind.

    The others are thumbnails, reduced copies and masks.
    """
    if image.format != "TIFF":
        return [0]
    first, pages = (image.size, image.mode), [0]
    for page in range(1, getattr(image, "n_frames", 1)):
        image.seek(page)
        if (image.size, image.mode) == first:
            pages.append(page)
    return pages


def _decode(file: BinaryIO, side: int | None, frame: int) -> NDArray[np.uint8]:
    image = _opened(file)
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(_TOO_LARGE)
    if frame:
        pages = _pages(image)
        if frame >= len(pages):
            raise no_such_frame(frame, len(pages))
        image.seek(pages[frame])
    if side is not None:
        image.draft(None, (side, side))  # does nothing unless it is a JPEG
    image.load()
    try:
        # only now: a PNG may keep EXIF behind its pixels
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged metadata does not make the pixels unreadable
        turn = None
    image = _to_rgb(image)
    if side is not None and image.width * image.height > LARGE:
        # what is left is still three times too large, as much as a good resampling needs
        image = image.reduce(max(1, min(image.size) // (3 * side)))
    return np.asarray(image if turn is None else image.transpose(turn))


def _to_rgb(image: Pillow.Image) -> Pillow.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return Pillow.fromarray(_to_8_bit(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        black = Pillow.new("RGBA", image.size, (0, 0, 0, 255))
        image = Pillow.alpha_composite(black, image)
    return image if image.mode == "RGB" else image.convert("RGB")  # convert always copies


def _to_8_bit(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65535:
        raise ImageError("has pixels of more than 16 bits; save it with 8 or 16 bits per channel")
    if values.max() > 255:
        values = (values.astype(np.uint32) + 128) // 257
    return values.astype(np.uint8)
