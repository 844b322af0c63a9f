"""Cases worth looking at: right and confident, wrong and confident, unsure, left to a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain, zip_longest

import numpy as np
import numpy.typing as npt

from agfnet.inference.predictions import Predictions

CONFIDENT = 0.6  # top probability from which an answer counts as confident

KINDS = {
    "right": "Right and confident",
    "wrong": "Wrong and confident",
    "unsure": "Unsure",
    "abstained": "Left to a person",
    "unlabelled": "Confident, truth unknown",
}
DOUBTFUL = {"unsure", "abstained"}


@dataclass(frozen=True, kw_only=True)
class Example:
    """One case as the report shows it."""

    lesion_id: str
    label: str  # "" where unlabelled
    predicted: str
    probabilities: npt.NDArray[np.float64]  # (C,), in the order of the classes
    images: Mapping[str, npt.NDArray[np.uint8]] = field(default_factory=dict)  # (H, W, 3) each
    overlays: Mapping[str, npt.NDArray[np.uint8]] = field(default_factory=dict)  # with evidence
    prediction_set: tuple[str, ...] | None = None  # classes not ruled out, where known
    abstained: bool = False

    @property
    def kind(self) -> str:
        """One of KINDS."""
        confidence = float(self.probabilities.max())
        return _kind(self.label, self.predicted, confidence, self.abstained)


def choose_examples(predictions: Predictions, k: int = 12) -> list[int]:
    """Rows of up to k cases to show, by turns from each kind.

    Of the right and the wrong the most confident come first, of the unsure and of those left to a
    person the ones whose two most probable classes are closest.
    """
    ranked = np.sort(predictions.probabilities, axis=1)
    confidence, margin = ranked[:, -1], ranked[:, -1] - ranked[:, -2]
    left = np.zeros(len(predictions), bool) if predictions.abstain is None else predictions.abstain
    kinds = [
        _kind(*row)
        for row in zip(predictions.label, predictions.predicted, confidence, left, strict=True)
    ]
    queues = [
        sorted(
            (row for row, found in enumerate(kinds) if found == kind),
            key=lambda row: margin[row] if kinds[row] in DOUBTFUL else -confidence[row],
        )
        for kind in KINDS
    ]
    turns = chain.from_iterable(zip_longest(*queues))
    return [row for row in turns if row is not None][:k]


def _kind(label: str, predicted: str, confidence: float, abstained: bool) -> str:
    if abstained:
        return "abstained"
    if confidence < CONFIDENT:
        return "unsure"
    if not label:
        return "unlabelled"
    return "right" if label == predicted else "wrong"
