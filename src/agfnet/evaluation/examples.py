"""Cases worth looking at: right and confident, wrong and confident, unsure."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain, zip_longest

import numpy as np
import numpy.typing as npt
from PIL import Image

from agfnet.inference.predictions import Predictions

CONFIDENT = 0.6  # top probability from which an answer counts as confident
THUMBNAIL = 320  # longest side in pixels; shown at half, so that it is sharp on dense screens

KINDS = {
    "right": "Right and confident",
    "wrong": "Wrong and confident",
    "unsure": "Unsure",
    "unlabelled": "Confident, truth unknown",
}


@dataclass(frozen=True, kw_only=True)
class Example:
    """One case as the report shows it."""

    lesion_id: str
    label: str  # "" where unlabelled
    predicted: str
    probabilities: npt.NDArray[np.float64]  # (C,), in the order of the classes
    images: Mapping[str, npt.NDArray[np.uint8]] = field(default_factory=dict)  # (H, W, 3) each

    @property
    def kind(self) -> str:
        """One of KINDS."""
        return _kind(self.label, self.predicted, float(self.probabilities.max()))


def choose_examples(predictions: Predictions, k: int = 12) -> list[int]:
    """Rows of up to k cases to show, by turns from each kind.

    Of the right and the wrong the most confident come first, of the unsure those whose two most
    probable classes are closest.
    """
    ranked = np.sort(predictions.probabilities, axis=1)
    confidence, margin = ranked[:, -1], ranked[:, -1] - ranked[:, -2]
    kinds = [
        _kind(label, predicted, top)
        for label, predicted, top in zip(
            predictions.label, predictions.predicted, confidence, strict=True
        )
    ]
    queues = [
        sorted(
            (row for row, found in enumerate(kinds) if found == kind),
            key=lambda row: margin[row] if kinds[row] == "unsure" else -confidence[row],
        )
        for kind in KINDS
    ]
    turns = chain.from_iterable(zip_longest(*queues))
    return [row for row in turns if row is not None][:k]


def thumbnail(pixels: npt.NDArray[np.uint8]) -> str:
    """A small JPEG of an image (H, W, 3) as a data URI."""
    image = Image.fromarray(pixels).convert("RGB")
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _kind(label: str, predicted: str, confidence: float) -> str:
    if confidence < CONFIDENT:
        return "unsure"
    if not label:
        return "unlabelled"
    return "right" if label == predicted else "wrong"
