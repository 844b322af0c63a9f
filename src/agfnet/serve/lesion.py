"""What files from a stranger are, from their headers, before anything is decoded."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image as Pillow

from agfnet.data.readers import count_frames
from agfnet.errors import ImageError
from agfnet.serve.file_types import HEAD, IMAGES, kind_of
from agfnet.serve.request_error import RequestError

DEFLATED = b"1.2.840.10008.1.2.1.99"
META = 1 << 16
"""Bytes at the beginning of a DICOM file that hold its transfer syntax."""


@dataclass(frozen=True)
class Limits:
    """What the files of a lesion may hold."""

    megapixels: float
    frames: int


@dataclass(frozen=True)
class Facts:
    """What a file is."""

    type: str
    width: int
    height: int
    frames: int


@dataclass(frozen=True)
class Lesion:
    """The files of a lesion, and the frames of them that are used."""

    files: Mapping[str, Sequence[Facts]]
    images: dict[str, list[Path]]
    """As a predictor takes them: one path per frame."""
    source: Mapping[Path, tuple[int, int]]
    """Which file of its field, and which frame of it, each of these is."""


@contextmanager
def error_context(files: Mapping[str, Sequence[Path]]) -> Iterator[None]:
    """Errors about these files speak of the field and the number of the file.

    Raises:
        RequestError: in place of an ImageError.
    """
    try:
        yield
    except ImageError as error:
        text = str(error)
        for modality, paths in files.items():
            for number, path in enumerate(paths):
                if str(path) in text:
                    label = f"{modality}, file {number}"
                    text = re.sub(re.escape(str(path)) + r"#(\d+)", rf"{label}, frame \1", text)
                    text = text.replace(str(path), label)
                    raise RequestError(
                        422, "unreadable_image", text, modality=modality, file=number
                    ) from None
        raise RequestError(422, "unreadable_image", "an image cannot be read") from None


def load_uploads(
    files: Mapping[str, Sequence[Path]],
    chosen: Mapping[str, Sequence[Mapping[str, int]]],
    *,
    limits: Limits,
    modalities: Sequence[str],
) -> Lesion:
    """Look at the files of a lesion and choose their frames.

    Args:
        files: by modality.
        chosen: `file` and `frame` of those to use, by modality; all where a modality is not in it.
        limits: what they may hold.
        modalities: that the model reads.

    Raises:
        RequestError: a limit is broken, or the choice is not possible.
        ImageError: a header cannot be read.
    """
    if unknown := sorted(set(chosen) - set(modalities)):
        raise RequestError(422, "invalid", f"frames: {unknown[0][:40]!r} is not a modality")
    facts = {
        name: [look(path, limits, name, number) for number, path in enumerate(paths)]
        for name, paths in files.items()
    }
    images: dict[str, list[Path]] = {}
    source: dict[Path, tuple[int, int]] = {}
    for name in modalities:
        if name in chosen:
            wanted = [(one["file"], one.get("frame", 0)) for one in chosen[name]]
        else:
            wanted = [
                (i, k) for i, one in enumerate(facts.get(name, ())) for k in range(one.frames)
            ]
        images[name] = []
        for file, frame in wanted:
            if file >= len(facts.get(name, ())) or frame >= facts[name][file].frames:
                raise RequestError(
                    422, "invalid", f"frames: {name} has no file {file}, frame {frame}"
                )
            path = files[name][file]
            if facts[name][file].frames > 1:
                path = path.with_name(f"{path.name}#{frame}")
            images[name].append(path)
            source[path] = (file, frame)
    if sum(map(len, images.values())) > limits.frames:
        raise too_many_frames(limits)
    if not source:
        raise RequestError(
            422, "invalid", f"no image of any of the modalities {', '.join(modalities)}"
        )
    return Lesion(facts, images, source)


def too_many_frames(limits: Limits) -> RequestError:
    """The error for more frames than a lesion may have."""
    return RequestError(413, "too_many_frames", f"there are more than {limits.frames} frames")


def too_many_pixels(limits: Limits, modality: str, number: int) -> RequestError:
    """The error for an image that is too large."""
    text = f"{modality}, file {number}: has more than {limits.megapixels:g} megapixels"
    return RequestError(413, "too_many_pixels", text, modality=modality, file=number)


def look(path: Path, limits: Limits, modality: str, number: int) -> Facts:
    """What a file is, from its header.

    Raises:
        RequestError: it is of another kind or breaks a limit.
        ImageError: its header cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(META)
    kind = kind_of(start[:HEAD])
    if kind is None or kind not in IMAGES:
        text = f"{modality}, file {number}: is not {', '.join(IMAGES)}"
        raise RequestError(415, "unsupported_type", text, modality=modality, file=number)
    if kind == "DICOM" and DEFLATED in start:
        # its header would be unpacked whole, to whatever size
        raise ImageError(f"{path}: is deflated DICOM; export it without")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            width, height = _dicom(path) if kind == "DICOM" else _picture(path, kind, limits)
    except (RequestError, ImageError):
        raise
    except Pillow.DecompressionBombError:
        raise too_many_pixels(limits, modality, number) from None
    except Exception as error:  # parsers raise anything on damaged files
        raise ImageError(f"{path}: is damaged or truncated; copy or export it again") from error
    if width * height > limits.megapixels * 1e6:
        raise too_many_pixels(limits, modality, number)
    frames = count_frames(path)
    if frames > limits.frames:
        raise too_many_frames(limits)
    return Facts(kind, width, height, frames)


def _picture(path: Path, kind: str, limits: Limits) -> tuple[int, int]:
    with Pillow.open(path, formats=[kind]) as image:
        size = image.size
        if kind == "TIFF":
            try:
                image.seek(limits.frames)  # counting all would take as long as there are many
            except EOFError:
                return size
            raise too_many_frames(limits)
        return size


def _dicom(path: Path) -> tuple[int, int]:
    count_frames(path)  # says what is missing to read it
    from pydicom import dcmread

    tags = ["Rows", "Columns"]
    header = dcmread(path, force=True, stop_before_pixels=True, specific_tags=tags)
    if not all(header.get(tag) for tag in tags):
        raise ImageError(f"{path}: is DICOM without an image; send an image file")
    return int(header.Columns), int(header.Rows)
