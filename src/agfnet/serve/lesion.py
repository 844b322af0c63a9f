"""The uploaded images of one lesion, inspected by their headers before they are decoded."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image as Pillow

from agfnet.data.heic import FORMAT, register_heic
from agfnet.data.paths import named_frame, with_box, with_frame
from agfnet.data.readers import count_frames
from agfnet.errors import ImageError
from agfnet.serve.file_types import HEAD, IMAGES, describe_other, type_of
from agfnet.serve.limits import Limits
from agfnet.serve.request_error import RequestError

DEFLATED = b"1.2.840.10008.1.2.1.99"
META = 1 << 16
"""First bytes of a DICOM file, which contain its transfer syntax."""


@dataclass(frozen=True)
class ImageInfo:
    """Type, size in pixels and number of frames of a file."""

    type: str
    width: int
    height: int
    frames: int
    crop: dict[str, int] | None = None  # x, y, width, height of the part to use


@dataclass(frozen=True)
class Lesion:
    """The files of a lesion, and their frames in use."""

    files: Mapping[str, Sequence[ImageInfo]]
    images: dict[str, list[Path]]
    """One path per frame, as a predictor reads them."""
    source: Mapping[Path, tuple[int, int]]
    """File (within its field) and frame (within its file) of each path."""


@contextmanager
def error_context(files: Mapping[str, Sequence[Path]]) -> Iterator[None]:
    """Turn errors about files into errors with the field and the number of the file.

    Raises:
        RequestError: instead of an ImageError.
    """
    try:
        yield
    except ImageError as error:
        text = str(error)
        uploads = [
            (modality, number, path)
            for modality, paths in files.items()
            for number, path in enumerate(paths)
        ]
        # the path in a table may name a frame or a box, and the message the file alone
        plain = [(name, number, named_frame(path)[0]) for name, number, path in uploads]
        for modality, number, path in (*uploads, *plain):
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
    frames: Mapping[str, Sequence[Mapping[str, int]]],
    crops: Mapping[str, Sequence[Mapping[str, int]]],
    *,
    limits: Limits,
    modalities: Sequence[str],
) -> Lesion:
    """Inspect the files of a lesion and select their frames.

    Args:
        files: by modality.
        frames: `file` and `frame` of the frames to use, by modality; all for other modalities.
        crops: `file`, `x`, `y`, `width` and `height` of the parts of files to use, by modality.
        limits: the limits of a request.
        modalities: the modalities of the model.

    Raises:
        RequestError: a limit is exceeded, or a frame or the file of a crop does not exist.
        ImageError: a header cannot be read.
    """
    for name, values in (("frames", frames), ("crops", crops)):
        if unknown := sorted(set(values) - set(modalities)):
            raise RequestError(422, "invalid", f"{name}: {unknown[0][:40]!r} is not a modality")
    infos = {
        name: [inspect(path, limits, name, number) for number, path in enumerate(paths)]
        for name, paths in files.items()
    }
    images: dict[str, list[Path]] = {}
    source: dict[Path, tuple[int, int]] = {}
    for name in modalities:
        known = infos.get(name, [])
        boxes = boxes_of(crops.get(name, ()), name, len(known))
        if name in frames:
            selection = [(item["file"], item.get("frame", 0)) for item in frames[name]]
        else:
            selection = [(i, k) for i, info in enumerate(known) for k in range(info.frames)]
        if known:
            infos[name] = [replace(i, crop=as_crop(boxes.get(k))) for k, i in enumerate(known)]
        images[name] = []
        for file, frame in selection:
            if file >= len(known) or frame >= known[file].frames:
                raise RequestError(
                    422, "invalid", f"frames: {name} has no file {file}, frame {frame}"
                )
            path = files[name][file]
            if known[file].frames > 1:
                path = with_frame(path, frame)
            path = with_box(path, boxes.get(file))
            images[name].append(path)
            source[path] = (file, frame)
    if sum(map(len, images.values())) > limits.frames:
        raise too_many_frames(limits)
    if not source:
        raise RequestError(
            422, "invalid", f"no image of any of the modalities {', '.join(modalities)}"
        )
    return Lesion(infos, images, source)


def boxes_of(
    crops: Sequence[Mapping[str, int]], modality: str, files: int
) -> dict[int, tuple[int, int, int, int]]:
    """Return the box of each file of a modality that has a crop.

    Raises:
        RequestError: the file does not exist, or has two crops.
    """
    boxes: dict[int, tuple[int, int, int, int]] = {}
    for crop in crops:
        file = crop["file"]
        if file >= files:
            raise RequestError(422, "invalid", f"crops: {modality} has no file {file}")
        if file in boxes:
            raise RequestError(422, "invalid", f"crops: {modality}, file {file} has two crops")
        boxes[file] = (crop["x"], crop["y"], crop["width"], crop["height"])
    return boxes


def as_crop(box: Sequence[int] | None) -> dict[str, int] | None:
    """Return a box as the API writes it."""
    return None if box is None else dict(zip(("x", "y", "width", "height"), box, strict=True))


def too_many_frames(limits: Limits) -> RequestError:
    """Return the error for too many frames."""
    return RequestError(413, "too_many_frames", f"there are more than {limits.frames} frames")


def too_many_pixels(limits: Limits, modality: str, number: int) -> RequestError:
    """Return the error for an image that is too large."""
    text = f"{modality}, file {number}: has more than {limits.megapixels:g} megapixels"
    return RequestError(413, "too_many_pixels", text, modality=modality, file=number)


def inspect(path: Path, limits: Limits, modality: str, number: int) -> ImageInfo:
    """Read the header of a file.

    Raises:
        RequestError: the type is not supported, or a limit is exceeded.
        ImageError: its header cannot be read.
    """
    whole = path
    path, _ = named_frame(path)  # as in a table
    with path.open("rb") as file:
        start = file.read(META)
    kind = type_of(start[:HEAD])
    if kind is None or kind not in IMAGES:
        text = f"{modality}, file {number}: {describe_other(start[:HEAD], ', '.join(IMAGES))}"
        raise RequestError(415, "unsupported_type", text, modality=modality, file=number)
    if kind == "DICOM" and DEFLATED in start:
        # the whole header would be unpacked, to any size
        raise ImageError(f"{path}: is deflated DICOM; export it without deflation")
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
    frames = count_frames(whole)
    if frames > limits.frames:
        raise too_many_frames(limits)
    return ImageInfo(kind, width, height, frames)


def _picture(path: Path, kind: str, limits: Limits) -> tuple[int, int]:
    if kind == "HEIC":
        register_heic()
    with Pillow.open(path, formats=[FORMAT if kind == "HEIC" else kind]) as image:
        size = image.size
        if kind == "TIFF":
            try:
                image.seek(limits.frames)  # counting all frames could take long
            except EOFError:
                return size
            raise too_many_frames(limits)
        return size


def _dicom(path: Path) -> tuple[int, int]:
    count_frames(path)  # raises if a package for the format is missing
    from pydicom import dcmread

    tags = ["Rows", "Columns"]
    header = dcmread(path, force=True, stop_before_pixels=True, specific_tags=tags)
    if not all(header.get(tag) for tag in tags):
        raise ImageError(f"{path}: is DICOM without an image; send a file with an image")
    return int(header.Columns), int(header.Rows)
