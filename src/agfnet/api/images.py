"""Images in memory as files: everything else in the package reads files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from agfnet.api.tables import is_missing
from agfnet.data.image_cells import counts_as_empty
from agfnet.data.table import cell_paths
from agfnet.errors import ImageError

Files = dict[str, tuple[Path, ...]]
_MEMORY = Path("/dev/shm")
_OTHER_MODES = {"HSV": "RGB", "RGBa": "RGBA", "La": "LA"}
"""Modes that no file keeps, and those to which they are converted without loss."""
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")


@contextmanager
def image_files(images: Mapping[str, Any]) -> Iterator[Files]:
    """Provide images as files; those in memory are written to a temporary folder and deleted after.

    Args:
        images: Per modality a path, a PIL image, an array (H, W) or (H, W, 3) of uint8 or uint16,
            an array (K, H, W, 3) of K frames, a pydicom data set, a list of any of these, or None.

    Raises:
        ImageError: An object is no image; the message names the modality.
    """
    # in memory where possible: pictures of patients do not reach a disk
    folder = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="agfnet-", dir=folder) as temporary:
        try:
            yield {name: _files(name, value, Path(temporary)) for name, value in images.items()}
        except ImageError as error:  # its user does not know the folder
            raise ImageError(str(error).replace(f"{temporary}/", "")) from None


def _files(name: str, value: Any, folder: Path) -> tuple[Path, ...]:
    """Return the files of one modality."""
    if is_missing(value) or (isinstance(value, str) and not value):
        return ()
    if isinstance(value, str):  # words for a missing image are none, as in a table
        return tuple(path for path in cell_paths(value) if not counts_as_empty(str(path), Path()))
    if isinstance(value, list | tuple):
        return tuple(path for part in value for path in _files(name, part, folder))
    if isinstance(value, np.ndarray) and value.ndim == 4 and len(value):
        return tuple(path for frame in value for path in _files(name, frame, folder))
    if isinstance(value, PathLike):
        return (Path(value),)
    try:
        if content := _unchanged_file(value):
            path = _new_path(name, folder).with_suffix(f".{value.format.lower()}")
            path.write_bytes(content)
            return (path,)
        if frames := _pages(value):
            return tuple(path for frame in frames for path in _files(name, frame, folder))
        return (_write(name, value, _new_path(name, folder)),)
    except (OSError, ValueError) as error:  # of Pillow and pydicom: closed, cut off, empty
        if getattr(error, "errno", None):  # of the system: the disk is full
            raise
        raise ImageError(
            f"{name}: {type(value).__name__} cannot be read ({error}); open or make it again, or"
            " give the path of its file"
        ) from error


def _unchanged_file(image: Any) -> bytes | None:
    """Return the file of an image that Pillow has opened, if nobody has changed its pixels.

    Pillow drops what decides the pixels: the low bytes of colours of 16 bits, whether 0 is white,
    whether CMYK is inverted. The readers of this package know it from the file.
    """
    from PIL import Image

    from agfnet.data.readers import FORMATS

    if getattr(image, "format", None) not in (*FORMATS, "MPO") or image.tell():
        return None
    decoded = not image.tile or image.fp is None
    if not decoded:
        position = image.fp.tell()
        image.fp.seek(0)
        content: bytes = image.fp.read()
        image.fp.seek(position)
    elif getattr(image, "filename", "") and Path(image.filename).is_file():
        content = Path(image.filename).read_bytes()
    else:
        return None
    with Image.open(BytesIO(content)) as again:
        again.load()  # what is cut off is reported here
        return content if not decoded or image == again else None


def _pages(value: Any) -> list[Any]:
    """Return the pages of a TIFF that Pillow has opened, which are frames; none of one page."""
    from PIL import ImageSequence

    if getattr(value, "format", None) != "TIFF" or value.n_frames == 1:
        return []
    position = value.tell()
    pages = [page.copy() for page in ImageSequence.Iterator(value)]
    value.seek(position)
    return pages


def _new_path(name: str, folder: Path) -> Path:
    """Return a path for the next image of a modality, without a suffix."""
    count = sum(path.stem.rpartition("-")[0] == name for path in folder.iterdir())
    return folder / f"{name}-{count}"


def _write(name: str, value: Any, path: Path) -> Path:
    """Write one image without loss."""
    from PIL import Image, ImageOps

    if hasattr(value, "PixelData") and hasattr(value, "save_as"):  # a pydicom data set
        path = path.with_suffix(".dcm")
        value.save_as(path, enforce_file_format=True)
        return path
    if isinstance(value, np.ndarray):
        value = _from_array(name, value)
    if not isinstance(value, Image.Image):
        raise ImageError(
            f"{name}: {type(value).__name__} is no image; expected a path, a PIL image, a NumPy"
            " array, a pydicom data set, or a list of them"
        )
    upright = ImageOps.exif_transpose(value)
    if upright.mode in _OTHER_MODES:
        upright = upright.convert(_OTHER_MODES[upright.mode])
    path = path.with_suffix(".png" if upright.mode in _PNG_MODES else ".tif")
    upright.save(path, compression=None) if path.suffix == ".tif" else upright.save(path)
    return path


def _from_array(name: str, pixels: np.ndarray[Any, Any]) -> Any:
    """Return a PIL image of an array."""
    from PIL import Image

    if np.ma.is_masked(pixels):
        raise ImageError(
            f"{name}: a masked array, whose mask would be ignored; give `.filled(0)` or `.data`"
        )
    if pixels.ndim == 3 and pixels.shape[2] == 1:  # grey, as scikit-image and OpenCV may give it
        pixels = pixels[:, :, 0]
    shape_fits = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))
    if pixels.dtype == np.uint8 and shape_fits and pixels.size:
        return Image.fromarray(np.ascontiguousarray(pixels))
    if pixels.dtype == np.uint16 and pixels.ndim == 2 and pixels.size:
        return Image.fromarray(np.ascontiguousarray(pixels))
    raise ImageError(
        f"{name}: array {pixels.shape} of {pixels.dtype}; expected (H, W), (H, W, 3) or"
        " (K, H, W, 3) of uint8, or (H, W) of uint16; floats from 0 to 1 need"
        " (255 * x).round().astype('uint8')"
    )
