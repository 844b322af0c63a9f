"""Previews of uploaded images: thumbnails and hints on their quality."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from agfnet.config import ModalityConfig
from agfnet.data.lesion_box import (
    SIDE,
    find_lesion,
    is_cut,
    is_small,
    propose_crop,
    whole_pixels,
)
from agfnet.data.paths import with_frame
from agfnet.data.preprocess import check_size, seen_part
from agfnet.data.quality import HINTS, SMALL, measure_appearance, quality_hints
from agfnet.data.readers import read_image, upright_size
from agfnet.inference.predictor import Predictor
from agfnet.serve.lesion import ImageInfo, as_crop, error_context, load_uploads
from agfnet.serve.limits import Limits
from agfnet.serve.predict import files_of
from agfnet.translation import words

Array = np.ndarray[Any, Any]
THUMBNAIL = 192
"""Longest side of a thumbnail of a scan, pixels."""
PHOTO = 512
"""Longest side of the thumbnail of a photograph, on which a crop is chosen, pixels."""
MAX_SIDE = 1024
"""Longest side of an image under a map, pixels."""
MAX_FRAMES_SHOWN = 48
"""Thumbnails of a file."""


def uri(pixels: Array, *, form: str) -> str:
    """Encode pixels (H, W, 3 or 4) uint8 as a data URI, JPEG or PNG, without metadata."""
    target = io.BytesIO()
    Pillow.fromarray(pixels).save(target, format=form, quality=88)
    return f"data:image/{form.lower()};base64,{base64.b64encode(target.getvalue()).decode()}"


def reduced(pixels: Array, longest: int) -> Array:
    """Reduce an image (H, W, 3) so that its longest side is at most `longest`."""
    image = Pillow.fromarray(pixels)
    image.thumbnail((longest, longest), Pillow.Resampling.BICUBIC, reducing_gap=3)
    return np.asarray(image)


def preview(job: Mapping[str, Any], predictor: Predictor, limits: Limits) -> dict[str, Any]:
    """Preview the files of a request; the server completes the result to a `Preview`."""
    files, modalities = files_of(job), predictor.bundle.config.modalities
    with error_context(files):
        lesion = load_uploads(files, job["frames"], {}, limits=limits, modalities=list(modalities))
        images = {
            name: [
                asdict(info)
                | {
                    "shown": thumbnails(path, info, modalities[name]),
                    "framing": framing(path, info, modalities[name]),
                }
                for path, info in zip(files[name], infos, strict=True)
            ]
            for name, infos in lesion.files.items()
        }
    hints = {
        name: {hint for file in previews for frame in file["shown"] for hint in frame["hints"]}
        for name, previews in images.items()
    }
    present = set().union(*hints.values())
    by_type = {modalities[name].modality_type: names for name, names in hints.items()}
    return {
        "images": images,
        "hints": {hint: words()[f"hint.{hint}"] for hint in HINTS if hint in present},
        "swapped": "grey_photo" in by_type.get("photo", ())
        and "colour_ultrasound" in by_type.get("ultrasound", ()),
    }


def thumbnails(path: Path, info: ImageInfo, modality: ModalityConfig) -> list[Any]:
    """Return thumbnails of the frames of a file, evenly spaced if there are many.

    Only the middle one has hints: inspecting every frame would take longer than the prediction.
    """
    count = min(info.frames, MAX_FRAMES_SHOWN)
    frames = np.unique(np.linspace(0, info.frames - 1, count).round().astype(int)).tolist()
    middle = frames[len(frames) // 2]
    longest = PHOTO if modality.modality_type == "photo" and count == 1 else THUMBNAIL
    shown = []
    for number in frames:
        frame = with_frame(path, number) if info.frames > 1 else path
        judged = number == middle
        side = 2 * SMALL if judged else longest
        pixels = read_image(frame, side=side, region=modality.region).pixels
        check_size(pixels, frame)
        hints = judged and quality_hints(measure_appearance(pixels), modality.modality_type)
        thumbnail = uri(reduced(pixels, longest), form="JPEG")
        shown.append({"frame": number, "thumbnail": thumbnail, "hints": hints or []})
    return shown


def framing(path: Path, info: ImageInfo, modality: ModalityConfig) -> dict[str, Any] | None:
    """Describe what the network sees of a photograph.

    Returns:
        None for scans, for several frames, and for a modality that is not only cut to a square.
    """
    prepared = modality.crop_field_of_view or modality.pixel_spacing is not None
    if modality.modality_type != "photo" or info.frames > 1 or prepared:
        return None
    width, height = upright_size(path)
    shape = height, width
    image = read_image(path, side=SIDE, region=modality.region)
    x0, y0, x1, y1 = seen_part(shape, modality.resize, image.aspect)
    seen = whole_pixels((x0 / width, y0 / height, x1 / width, y1 / height), shape)
    lesion = find_lesion(image.pixels)
    box = None if lesion is None else whole_pixels(lesion.box, shape)
    return {
        "width": width,
        "height": height,
        "seen": as_crop(seen),
        "lesion": as_crop(box),
        "crop": as_crop(None if box is None else propose_crop(box, shape)),
        "advised": box is not None and (is_cut(box, seen) or is_small(box, seen)),
    }
