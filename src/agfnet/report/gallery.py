"""Single cases: what the network saw, what it said, and where the evidence lay."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from agfnet.explain.show.overlay import thumbnail
from agfnet.inference import wording
from agfnet.report.examples import KINDS, Example
from agfnet.report.page import Section


def gallery(classes: Sequence[str], examples: Sequence[Example]) -> Section | None:
    """Right, wrong, unsure and abstained cases, as far as there are some."""
    groups = [
        f"<h3>{heading}</h3>"
        + '<div class="cases">'
        + "".join(_case(classes, example) for example in examples if example.kind == kind)
        + "</div>"
        for kind, heading in KINDS.items()
        if any(example.kind == kind for example in examples)
    ]
    if not groups:
        return None
    evidence = any(example.overlays for example in examples)
    text = (
        "<p>Chosen for what they show, not at random. Beside each image, in colour: where covering "
        "it takes most from the answer's probability (yellow most, blue less, no colour little). "
        "It says what the network used, not what is right.</p>"
        if evidence
        else "<p>Chosen for what they show, not at random.</p>"
    )
    return Section("cases", "Cases", text + "".join(groups))


def _case(classes: Sequence[str], example: Example) -> str:
    images = "".join(
        _figure(pixels, f"{modality} of lesion {example.lesion_id}", modality)
        + (
            _figure(
                example.overlays[modality],
                f"evidence in {modality} of lesion {example.lesion_id}",
                "evidence",
            )
            if modality in example.overlays
            else ""
        )
        for modality, pixels in example.images.items()
    )
    top = np.argsort(-example.probabilities, kind="stable")[:3]
    bars = "".join(
        f"<span>{escape(classes[c])}</span><span>{wording.percent(example.probabilities[c])}</span>"
        f'<i style="width: {100 * example.probabilities[c]:.1f}%"></i>'
        for c in top
    )
    possible = ""
    if example.prediction_set is not None:
        names = ", ".join(example.prediction_set) or "none of its classes fits"
        possible = f"<p>Cannot rule out: {escape(names)}</p>"
    left = " (left to a person)" if example.abstained else ""
    return (
        f'<article class="case"><div class="images">{images}</div>'
        f"<p><strong>{escape(example.lesion_id)}</strong></p>"
        f"<p>Truth: {escape(example.label) or 'unknown'}</p>"
        f"<p>Answer: {escape(example.predicted)}{left}</p>{possible}"
        f'<div class="bars">{bars}</div></article>'
    )


def _figure(
    pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], text: str, caption: str
) -> str:
    return (
        f'<figure><img src="{thumbnail(pixels)}" alt="{escape(text)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
