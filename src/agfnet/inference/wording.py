"""One answer as a picture: the images, the probabilities, and what it is not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from agfnet import NOTICE
from agfnet.files import replacing
from agfnet.inference.predictor import Diagnosis


def percent(p: float) -> str:
    """A probability in per cent, never rounded to certainty."""
    return "<1%" if p < 0.005 else ">99%" if p > 0.995 else f"{p:.0%}"


def sentence(classes: tuple[str, ...], diagnosis: Diagnosis) -> str:
    """The answer in plain words."""
    order = np.argsort(-diagnosis.probabilities)
    best, second = order[0], order[1]
    p, q = diagnosis.probabilities[best], diagnosis.probabilities[second]
    sure = "Most likely" if p >= 0.5 else "Not sure; most likely"
    return f"{sure} {classes[best]} ({percent(p)}), then {classes[second]} ({percent(q)})."


def doubts(classes: tuple[str, ...], diagnosis: Diagnosis) -> list[str]:
    """What to know before relying on the answer, in sentences."""
    found = []
    if diagnosis.out_of_distribution:
        found.append("These images are unlike those that the network was made for.")
    if diagnosis.abstain:
        found.append("Too unsure for an answer at the guaranteed risk: leave it to a person.")
    if diagnosis.prediction_set is not None and diagnosis.prediction_set.sum() > 1:
        order = np.argsort(-diagnosis.probabilities, kind="stable")
        names = [classes[c] for c in order if diagnosis.prediction_set[c]]
        found.append(f"Cannot be ruled out: {', '.join(names)}.")
    return found


def save_picture(
    path: str | Path,
    *,
    classes: tuple[str, ...],
    diagnosis: Diagnosis,
    images: Mapping[str, np.ndarray[Any, Any]],
) -> None:
    """Draw the images (H, W, 3) uint8 by modality beside the probability of every class.

    The file's ending decides the format: PNG, PDF or SVG.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3 * len(images) + 4, 3.8), dpi=150, layout="constrained")
    axes = figure.subplots(1, len(images) + 1, squeeze=False, width_ratios=[*[3] * len(images), 4])[
        0
    ]
    for axis, (name, pixels) in zip(axes, images.items(), strict=False):
        axis.imshow(pixels)
        axis.set_title(name)
        axis.set_axis_off()
    order = np.argsort(diagnosis.probabilities)
    shown = order[-8:]
    bars = axes[-1].barh(
        [classes[c] for c in shown],
        diagnosis.probabilities[shown],
        color=["#0072b2" if c == order[-1] else "#b0b7bd" for c in shown],
    )
    axes[-1].bar_label(bars, labels=[percent(diagnosis.probabilities[c]) for c in shown], padding=3)
    axes[-1].set(xlim=(0, 1.15), xticks=[], title="Probability")
    axes[-1].spines[["top", "right", "bottom"]].set_visible(False)
    figure.suptitle(sentence(classes, diagnosis), fontsize=12, fontweight="bold")
    figure.supxlabel(NOTICE, fontsize=9, color="#555555")
    path = Path(path)
    with replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix.lstrip(".") or "png")
