"""Properties of one image, from one decode of its file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from agfnet.check.headers import Header, read_header
from agfnet.check.marks import coloured_marks, white_marks
from agfnet.data.readers import count_frames, named_frame, read_image
from agfnet.errors import ImageError

THUMB = 32
"""Side of the grey thumbnail that images are compared by."""
SMALL = 256
"""Colour, contrast and detail are measured at this size or up to twice of it."""
COLOURED = 24
"""Difference of the largest and the smallest channel from which a pixel is coloured."""
MULTIFRAME = ("DICOM", "TIFF")
"""Formats of which a file may hold several frames."""
DARK = 16
"""Grey below which a pixel is black."""

Role = Literal["photo", "ultrasound", "mask"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Properties of one image; of several frames in its file, of the named one or the first."""

    header: Header
    digest: bytes
    """Hash of the whole file and the number of the frame."""
    size: tuple[int, int]
    """Width and height, upright."""
    frames: int
    """Frames of the file that the path stands for."""
    low: int
    """Grey that 1 % of the pixels lie below."""
    high: int
    """Grey that 1 % of the pixels lie above."""
    constant: bool
    """All pixels have one grey."""
    chroma: int
    """Difference of the largest and the smallest channel that 1 % of the pixels lie above."""
    coloured: float
    """Fraction of pixels with a colour."""
    dark: float
    """Fraction of black pixels."""
    detail: int
    """Second difference between neighbours that one pixel in 200 lies above."""
    white_marks: bool
    coloured_marks: bool
    scaled: bool
    """The file states its pixel spacing."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The reason why a file cannot be read: a finding of `agfnet.check.findings`."""

    finding: str
    message: str


def look(path: Path, role: Role) -> tuple[Facts, NDArray[np.uint8]] | Fault | None:
    """Read an image file once.

    Returns:
        Its properties and its thumbnail: (THUMB, THUMB), grey, the sides of the image stretched to
        it. Or the reason why it cannot be read; or None for a missing or empty
        file, which `read_cases` reports.
    """
    try:
        file, frame = named_frame(path)
        if not file.is_file() or not file.stat().st_size:
            return None
    except OSError:
        return None
    header = read_header(file)
    try:
        image = read_image(path, side=2 * SMALL if role == "photo" else None)
        frames = count_frames(path) if header.format in MULTIFRAME else 1
    except ImageError as error:
        return Fault("image_damaged" if header.format else "not_image", str(error))
    height, width = image.pixels.shape[:2]
    picture = Pillow.fromarray(image.pixels)
    small = picture.reduce(max(1, max(width, height) // SMALL))
    colours, grey = _fractions(_chroma(np.asarray(small))), np.asarray(small.convert("L"))
    greys = _fractions(grey)
    scan = role == "ultrasound"
    chroma = _chroma(image.pixels)
    whole = picture.convert("L")
    facts = Facts(
        header=header,
        digest=_digest(file, frame),
        size=header.size or (width, height),
        frames=frames,
        low=_quantile(greys, 0.01),
        high=_quantile(greys, 0.99),
        constant=whole.getextrema()[0] == whole.getextrema()[1],
        chroma=_quantile(colours, 0.99),
        coloured=float(colours[COLOURED:].sum()),
        dark=float(greys[:DARK].sum()),
        detail=_detail(grey),
        white_marks=scan and white_marks(np.asarray(whole), chroma),
        coloured_marks=scan and coloured_marks(chroma),
        scaled=image.spacing is not None,
    )
    return facts, np.asarray(whole.resize((THUMB, THUMB), Pillow.Resampling.BOX))


def _digest(file: Path, frame: int | None) -> bytes:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, lambda: hashlib.blake2b(digest_size=16))
    digest.update(b"" if frame is None else b"#%d" % frame)
    return digest.digest()


def _chroma(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the largest minus the smallest channel (H, W) of (H, W, 3)."""
    red, green, blue = np.moveaxis(pixels, 2, 0)
    high = np.maximum(np.maximum(red, green), blue)
    low = np.minimum(np.minimum(red, green), blue)
    return high - low


def _fractions(values: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Fraction of each of 256 values."""
    return np.asarray(Pillow.fromarray(values).histogram()) / values.size


def _quantile(fractions: NDArray[np.float64], level: float) -> int:
    return int(np.searchsorted(np.cumsum(fractions), level))


def _detail(grey: NDArray[np.uint8]) -> int:
    """Return `Facts.detail` of (H, W): the larger of both directions."""
    largest = 0
    for values in (grey.astype(np.int16), grey.T.astype(np.int16)):
        bend = np.abs(2 * values[1:-1] - values[:-2] - values[2:])
        if bend.size:
            largest = max(
                largest, _quantile(_fractions(np.minimum(bend, 255).astype(np.uint8)), 0.995)
            )
    return largest
