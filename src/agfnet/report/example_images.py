"""Images and evidence for the cases that a report shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agfnet.config import ModalityConfig
from agfnet.data.preprocess import load
from agfnet.data.table import Case
from agfnet.explain.compute.occlusion import occlusion
from agfnet.explain.show.overlay import overlay
from agfnet.inference.predictions import Predictions
from agfnet.inference.predictor import Predictor
from agfnet.report.examples import Example, choose_examples

SIDE = 192  # pixels: finer than most networks see, unless the side decides what is seen


def examples(
    predictions: Predictions, cases: Sequence[Case], predictor: Predictor
) -> list[Example]:
    """Cases for the gallery, with the first image of each modality as the network sees it.

    Args:
        predictions: of the cases, in their order.
        cases: where the images are.
        predictor: whose evidence is shown, for its answer.
    """
    return [
        example(predictions, row, cases[row], predictor) for row in choose_examples(predictions)
    ]


def example(predictions: Predictions, row: int, case: Case, predictor: Predictor) -> Example:
    """One case with its images, and where the evidence for the answer lies in them."""
    config = predictor.bundle.config

    def side(modality: ModalityConfig) -> int:
        return config.size if modality.pixel_spacing else max(SIDE, config.size)

    shown = {
        name: load(case.images[name][0], size=side(modality), modality=modality)
        for name, modality in config.modalities.items()
        if case.images[name]
    }
    blank = np.zeros((config.size, config.size, 3), dtype=np.uint8)
    seen = [
        load(case.images[name][0], size=config.size, modality=modality) if name in shown else blank
        for name, modality in config.modalities.items()
    ]
    maps = occlusion(
        predictor.backend.logits,
        [pixels[None] for pixels in seen],
        np.array([[name in shown for name in config.modalities]]),
        predictions.probabilities[[row]].argmax(axis=1),
    )
    evidence = dict(zip(config.modalities, (part[0] for part in maps), strict=True))
    possible = predictions.prediction_set
    return Example(
        lesion_id=predictions.lesion_id[row],
        label=predictions.label[row],
        predicted=predictions.predicted[row],
        probabilities=predictions.probabilities[row],
        images=shown,
        overlays={name: overlay(pixels, evidence[name]) for name, pixels in shown.items()},
        prediction_set=None
        if possible is None
        else tuple(np.array(predictions.classes)[possible[row]].tolist()),
        abstained=predictions.abstain is not None and bool(predictions.abstain[row]),
    )
