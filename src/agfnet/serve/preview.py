"""Pixels as data URIs, and what a preview shows of a file."""

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
from agfnet.serve.file_types import PREVIEW_FRAMES
from agfnet.serve.lesion import Facts, Limits, error_context, load_uploads
from agfnet.serve.predict import files_of

Array = np.ndarray[Any, Any]
THUMBNAIL = 192
"""Longest side of a thumbnail."""
LARGE = 1024
"""Longest side of a picture under a map."""
TOO_DARK = 64
"""A photograph of which nearly all is below this grey is too dark."""

HINTS = {
    "constant": "Is of one colour.",
    "dark": "Is too dark.",
    "bright": "Is too bright.",
    "flat": "Has hardly any contrast.",
    "blurred": "Shows no detail at all.",
    "grey_photo": "Is grey, among photographs.",
    "colour_ultrasound": "Looks like a colour photograph, among ultrasound.",
}


def uri(pixels: Array, *, form: str) -> str:
    """Pixels (H, W, 3 or 4) uint8 as a data URI, JPEG or PNG, without any metadata."""
    target = io.BytesIO()
    Pillow.fromarray(pixels).save(target, format=form, quality=88)
    return f"data:image/{form.lower()};base64,{base64.b64encode(target.getvalue()).decode()}"


def reduced(pixels: Array, longest: int) -> Array:
    """An image (H, W, 3) with its longest side at most so long."""
    image = Pillow.fromarray(pixels)
    image.thumbnail((longest, longest), Pillow.Resampling.BICUBIC, reducing_gap=3)
    return np.asarray(image)


def preview(job: Mapping[str, Any], predictor: Predictor, limits: Limits) -> dict[str, Any]:
    """What the files of a request show: `Preview` without what the server adds."""
    files, modalities = files_of(job), predictor.bundle.config.modalities
    with error_context(files):
        lesion = load_uploads(files, job["frames"], limits=limits, modalities=list(modalities))
        images = {
            name: [
                asdict(facts) | {"shown": shown(path, facts, modalities[name])}
                for path, facts in zip(files[name], found, strict=True)
            ]
            for name, found in lesion.files.items()
        }
    hints = {name: all_hints(found) for name, found in images.items()}
    said = {hint for found in hints.values() for hint in found}
    kinds = {modalities[name].modality_type: found for name, found in hints.items()}
    return {
        "images": images,
        "hints": {hint: text for hint, text in HINTS.items() if hint in said},
        "swapped": "grey_photo" in kinds.get("photo", ())
        and "colour_ultrasound" in kinds.get("ultrasound", ()),
    }


def all_hints(files: list[dict[str, Any]]) -> set[str]:
    """What is said of any frame of some files."""
    return {hint for file in files for one in file["shown"] for hint in one["hints"]}


def shown(path: Path, facts: Facts, modality: ModalityConfig) -> list[Any]:
    """Thumbnails of the frames of a file, evenly chosen if there are many; hints on the middle one.

    Judging every frame would take longer than the answer.
    """
    count = min(facts.frames, PREVIEW_FRAMES)
    frames = np.unique(np.linspace(0, facts.frames - 1, count).round().astype(int)).tolist()
    middle = frames[len(frames) // 2]
    found = []
    for frame in frames:
        one = path.with_name(f"{path.name}#{frame}") if facts.frames > 1 else path
        image = read_image(one, side=THUMBNAIL, region=modality.region)
        found.append(
            {
                "frame": frame,
                "thumbnail": uri(reduced(image.pixels, THUMBNAIL), form="JPEG"),
                "hints": judged(one, modality.modality_type) if frame == middle else [],
            }
        )
    return found


def judged(path: Path, kind: ModalityType) -> list[str]:
    """Hints on the quality of an image, with the limits of `agfnet check`."""
    facts = look(path, "photo")  # as one: without the search for marks in ultrasound
    if not isinstance(facts, tuple):
        return []
    seen, photo = facts[0], kind == "photo"
    tests = {
        "constant": seen.constant,
        "dark": seen.high < (TOO_DARK if photo else BLACK),
        "bright": seen.low >= WHITE,
        "flat": seen.high - seen.low < FLAT,
        "blurred": seen.detail <= BLURRED,
        "grey_photo": photo and seen.chroma < GREY,
        "colour_ultrasound": not photo and seen.coloured >= COLOURED and seen.dark <= DARK,
    }
    hints = [name for name, found in tests.items() if found]
    return hints[:1] if seen.constant else hints
