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
from agfnet.data.paths import named_frame
from agfnet.data.quality import SMALL, Appearance, chroma_of, measure_appearance
from agfnet.data.readers import count_frames, read_image
from agfnet.errors import ImageError

THUMB = 32
"""Side of the grey thumbnail that images are compared by."""
MULTIFRAME = ("DICOM", "TIFF")
"""Formats of which a file may hold several frames."""

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
    appearance: Appearance
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
    scan = role == "ultrasound"
    chroma = chroma_of(image.pixels)
    whole = Pillow.fromarray(image.pixels).convert("L")
    facts = Facts(
        header=header,
        digest=_digest(file, frame),
        size=header.size or (width, height),
        frames=frames,
        appearance=measure_appearance(image.pixels),
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
