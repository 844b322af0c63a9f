"""Section with single cases: images, attribution and prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest

import numpy as np
import numpy.typing as npt

from agfnet.bundle import BundleConfig
from agfnet.config import ModalityConfig
from agfnet.data.preprocess import load
from agfnet.data.table import Case
from agfnet.explain.compute.occlusion import occlusion
from agfnet.explain.show.overlay import overlay, thumbnail
from agfnet.inference.percents import percent
from agfnet.inference.predictions import Predictions
from agfnet.inference.predictor import Predictor
from agfnet.pages.blocks import Block, Card, CardImage, Cards, Heading, Section, Text
from agfnet.translation import display_name, joined, listed, t

Pixels = npt.NDArray[np.uint8]  # (H, W, 3)
CONFIDENT = 0.6  # top probability from which a prediction counts as confident
SIDE = 192  # pixels: finer than most networks see, unless the side decides what is seen
KINDS = {
    "right": "Correct and confident",
    "wrong": "Wrong and confident",
    "unsure": "Not confident",
    "abstained": "Abstained",
    "unlabelled": "Confident, no label",
}


@dataclass(frozen=True, kw_only=True)
class Example:
    """A case as the report shows it."""

    lesion_id: str
    label: str  # "" where unlabelled
    predicted: str
    probabilities: npt.NDArray[np.float64]  # (C,), in the order of the classes
    images: Mapping[str, Pixels] = field(default_factory=dict)
    overlays: Mapping[str, Pixels] = field(default_factory=dict)  # with attribution
    prediction_set: tuple[str, ...] | None = None
    abstained: bool = False

    @property
    def kind(self) -> str:
        """One of KINDS."""
        confidence = float(self.probabilities.max())
        return _kind(self.label, self.predicted, confidence, self.abstained)


def choose_examples(predictions: Predictions, k: int) -> list[int]:
    """Return the rows of up to k cases to show, taking turns between the kinds.

    The most confident correct and wrong cases come first; of the others those whose two most
    probable classes are closest.
    """
    ranked = np.sort(predictions.probabilities, axis=1)
    confidence, margin = ranked[:, -1], ranked[:, -1] - ranked[:, -2]
    abstained = predictions.abstain
    if abstained is None:
        abstained = np.zeros(len(predictions), bool)
    kinds = [
        _kind(*row)
        for row in zip(predictions.label, predictions.predicted, confidence, abstained, strict=True)
    ]
    queues = [
        sorted(
            (row for row, row_kind in enumerate(kinds) if row_kind == kind),
            key=margin.__getitem__
            if kind in ("unsure", "abstained")
            else (-confidence).__getitem__,
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


def example(predictions: Predictions, row: int, case: Case, predictor: Predictor) -> Example:
    """One case with its images and the attribution of its predicted class, by occlusion."""
    config = predictor.bundle.config
    images = first_images(case, config, side=max(SIDE, config.size))
    blank = np.zeros((config.size, config.size, 3), dtype=np.uint8)
    inputs = first_images(case, config, side=config.size)
    maps = occlusion(
        predictor.backend.logits,
        [inputs.get(name, blank)[None] for name in config.modalities],
        np.array([[name in inputs for name in config.modalities]]),
        predictions.probabilities[[row]].argmax(axis=1),
    )
    attribution = dict(zip(config.modalities, (part[0] for part in maps), strict=True))
    possible = predictions.prediction_set
    return Example(
        lesion_id=predictions.lesion_id[row],
        label=predictions.label[row],
        predicted=predictions.predicted[row],
        probabilities=predictions.probabilities[row],
        images=images,
        overlays={name: overlay(pixels, attribution[name]) for name, pixels in images.items()},
        prediction_set=None
        if possible is None
        else tuple(np.array(predictions.classes)[possible[row]].tolist()),
        abstained=predictions.abstain is not None and bool(predictions.abstain[row]),
    )


def first_images(case: Case, config: BundleConfig, *, side: int) -> dict[str, Pixels]:
    """The first image of each modality, prepared as for the network, but at another size.

    Args:
        case: a case; modalities without an image are left out.
        config: of the network. A modality with a fixed scale keeps the network's size, since its
            side decides what part of the image is seen.
        side: pixels of the other modalities.
    """

    def size(modality: ModalityConfig) -> int:
        return config.size if modality.pixel_spacing else side

    return {
        name: load(case.images[name][0], size=size(modality), modality=modality)
        for name, modality in config.modalities.items()
        if case.images[name]
    }


def cases_section(classes: Sequence[str], examples: Sequence[Example]) -> Section | None:
    """The examples, grouped by kind."""
    if not examples:
        return None
    texts = [t("Chosen to illustrate each kind, not at random.")]
    if any(example.overlays for example in examples):
        texts.append(
            t(
                "Next to each image: its attribution by occlusion. Colour marks where covering the "
                "image lowers the probability of the predicted class most (yellow: most; blue: "
                "less; no colour: little). It shows what the network used, not what is right."
            )
        )
    blocks: list[Block] = [Text(joined(texts))]
    for kind, heading in KINDS.items():
        if cards := [_card(classes, example) for example in examples if example.kind == kind]:
            blocks += [Heading(t(heading)), Cards(cards)]
    return Section("cases", t("Cases"), blocks)


def card_images(lesion_id: str, images: Mapping[str, Pixels]) -> list[CardImage]:
    """Images of a lesion by modality."""
    return [
        CardImage(
            thumbnail(pixels),
            t("{modality} of lesion {lesion}", modality=display_name(name), lesion=lesion_id),
            display_name(name),
        )
        for name, pixels in images.items()
    ]


def _card(classes: Sequence[str], example: Example) -> Card:
    images: list[CardImage] = []
    shown = card_images(example.lesion_id, example.images)
    for name, image in zip(example.images, shown, strict=True):
        images.append(image)
        if (pixels := example.overlays.get(name)) is not None:
            alternative = t("attribution in {image}", image=image.alternative)
            images.append(CardImage(thumbnail(pixels), alternative, t("attribution")))
    abstained = t(" (abstained)") if example.abstained else ""
    label = display_name(example.label) if example.label else t("none")
    lines = [
        t("Label: {name}", name=label),
        t("Prediction: {name}", name=display_name(example.predicted)) + abstained,
    ]
    if example.prediction_set is not None:
        names = listed(example.prediction_set) or t("empty, no class fits")
        lines.append(t("Prediction set: {names}", names=names))
    top = np.argsort(-example.probabilities, kind="stable")[:3]
    bars = [
        (
            display_name(classes[c]),
            percent(example.probabilities[c]),
            float(example.probabilities[c]),
        )
        for c in top
    ]
    return Card(example.lesion_id, images, lines, bars)
