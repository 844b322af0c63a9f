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

from agfnet.check.appearance import BLACK, BLURRED, COLOURED, DARK, FLAT, GREY, WHITE
from agfnet.check.images import look
from agfnet.config import ModalityConfig, ModalityType
from agfnet.data.readers import read_image
from agfnet.inference.predictor import Predictor
from agfnet.inference.wording import words
from agfnet.serve.lesion import ImageInfo, error_context, load_uploads
from agfnet.serve.limits import Limits
from agfnet.serve.predict import files_of

Array = np.ndarray[Any, Any]
THUMBNAIL = 192
"""Longest side of a thumbnail, pixels."""
MAX_SIDE = 1024
"""Longest side of an image under a map, pixels."""
MAX_FRAMES_SHOWN = 48
"""Thumbnails of a file."""
TOO_DARK = 64
"""A photograph whose pixels are nearly all below this grey is too dark."""

HINTS = ("constant", "dark", "bright", "flat", "blurred", "grey_photo", "colour_ultrasound")
"""Their texts are in `agfnet/words`."""


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
        lesion = load_uploads(files, job["frames"], limits=limits, modalities=list(modalities))
        images = {
            name: [
                asdict(info) | {"shown": thumbnails(path, info, modalities[name])}
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
    shown = []
    for number in frames:
        frame = path.with_name(f"{path.name}#{number}") if info.frames > 1 else path
        image = read_image(frame, side=THUMBNAIL, region=modality.region)
        shown.append(
            {
                "frame": number,
                "thumbnail": uri(reduced(image.pixels, THUMBNAIL), form="JPEG"),
                "hints": quality_hints(frame, modality.modality_type) if number == middle else [],
            }
        )
    return shown


def quality_hints(path: Path, kind: ModalityType) -> list[str]:
    """Return hints on the quality of an image, by the thresholds of `agfnet check`."""
    inspected = look(path, "photo")  # without the search for annotations in ultrasound
    if not isinstance(inspected, tuple):
        return []
    seen, photo = inspected[0], kind == "photo"
    tests = {
        "constant": seen.constant,
        "dark": seen.high < (TOO_DARK if photo else BLACK),
        "bright": seen.low >= WHITE,
        "flat": seen.high - seen.low < FLAT,
        "blurred": seen.detail <= BLURRED,
        "grey_photo": photo and seen.chroma < GREY,
        "colour_ultrasound": not photo and seen.coloured >= COLOURED and seen.dark <= DARK,
    }
    hints = [name for name in HINTS if tests[name]]
    return hints[:1] if seen.constant else hints
