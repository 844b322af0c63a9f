"""A diagnosis as a figure: the images, the probabilities and the notice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from agfnet import NOTICE
from agfnet.errors import ConfigError
from agfnet.files import replacing
from agfnet.inference.diagnosis import Diagnosis
from agfnet.inference.fonts import font_families
from agfnet.inference.percents import percent_text
from agfnet.inference.wording import sentence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_CLASSES = 8
"""Classes in the figure; the most probable ones."""


def check_format(path: str | Path) -> None:
    """Check that the suffix of a file is one of a figure.

    Raises:
        ConfigError: it is not.
    """
    from matplotlib.backend_bases import FigureCanvasBase

    suffix = Path(path).suffix.lower()
    if suffix and suffix[1:] not in FigureCanvasBase.get_supported_filetypes():
        raise ConfigError(f"picture: {path}: {suffix} is no format; expected .png, .pdf or .svg")


def save_picture(
    path: str | Path,
    *,
    classes: tuple[str, ...],
    diagnosis: Diagnosis,
    images: Mapping[str, np.ndarray[Any, Any]],
    note: str = "",
) -> str:
    """Draw the images (H, W, 3) uint8 by modality, next to the probability of every class.

    The suffix of the file decides the format: PNG, PDF or SVG. The note is shown before the
    notice.

    Returns:
        Letters of the labels that no installed font can draw; empty if there are none.
    """
    import warnings

    path = Path(path)
    with warnings.catch_warnings():
        figure, missing = draw_picture(
            classes=classes, diagnosis=diagnosis, images=images, note=note
        )
        if missing:  # the caller reports them
            warnings.filterwarnings("ignore", message="Glyph ")
        with replacing(path) as temporary:
            figure.savefig(temporary, format=path.suffix.lstrip(".") or "png")
    return missing


def draw_picture(
    *,
    classes: tuple[str, ...],
    diagnosis: Diagnosis,
    images: Mapping[str, np.ndarray[Any, Any]],
    note: str = "",
) -> tuple[Figure, str]:
    """Draw the figure of `save_picture`; return it, and the letters that no font can draw."""
    from matplotlib import rc_context

    title = sentence(classes, diagnosis)
    families, missing = font_families("".join([*classes, *images, title, note]))
    style: dict[Any, Any] = {"font.family": families, "text.parse_math": False}
    with rc_context(style):
        return _draw(title, classes, diagnosis, images, note), missing


def _draw(
    title: str,
    classes: tuple[str, ...],
    diagnosis: Diagnosis,
    images: Mapping[str, np.ndarray[Any, Any]],
    note: str,
) -> Figure:
    from matplotlib.figure import Figure

    widths = [*[3] * len(images), *([] if diagnosis.foreign else [4])] or [4]
    figure = Figure(figsize=(sum(widths), 3.8), dpi=150, layout="constrained")
    axes = figure.subplots(1, len(widths), squeeze=False, width_ratios=widths)[0]
    for axis, (name, pixels) in zip(axes, images.items(), strict=False):
        axis.imshow(pixels)
        axis.set_title(name)
        axis.set_axis_off()
    if diagnosis.foreign:
        title = fill(title, 20 * len(images) + 20)
    else:
        _draw_bars(axes[-1], classes, diagnosis)
    figure.suptitle(title, fontsize=12, fontweight="bold")
    figure.supxlabel(f"{note} {NOTICE}".strip(), fontsize=9, color="#555555")
    return figure


def _draw_bars(axis: Axes, classes: tuple[str, ...], diagnosis: Diagnosis) -> None:
    """Draw the most probable classes."""
    probabilities, numbers = diagnosis.probabilities, diagnosis.percents
    order = np.argsort(probabilities)
    shown = order[-MAX_CLASSES:]
    bars = axis.barh(
        range(len(shown)),
        probabilities[shown],
        color=["#0072b2" if c == order[-1] else "#b0b7bd" for c in shown],
    )
    # now, and not when the figure is saved, where the style of its texts is no longer in force
    axis.set_yticks(range(len(shown)), [classes[c] for c in shown])
    axis.bar_label(bars, labels=[percent_text(numbers[c]) for c in shown], padding=3)
    axis.set(xlim=(0, 1.15), xticks=[], title="Probability")
    axis.spines[["top", "right", "bottom"]].set_visible(False)
