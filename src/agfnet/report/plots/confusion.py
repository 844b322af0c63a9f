"""Confusion matrix."""

from __future__ import annotations

import textwrap
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from agfnet.inference.predictions import Predictions
from agfnet.metrics.discrimination import confusion
from agfnet.report.plots.style import STYLE, short, to_svg
from agfnet.translation import display_name, t


def confusion_matrix(predictions: Predictions) -> str:
    """Number and row percentage of every pair of classes; rows are the truth."""
    cases = predictions.labelled()
    counts = confusion(cases.probabilities, cases.target)
    size = len(cases.classes)
    fraction = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 0.62 * size
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(max(side + 2.2, 3.6), max(side + 1.9, 3)), layout="constrained")
        axes = figure.subplots()
        axes.pcolormesh(fraction, cmap="Blues", vmin=0, vmax=1, edgecolors="#d1d5db", linewidth=0.6)
        for row, column in np.ndindex(size, size):
            count = counts[row, column]
            if not count:
                continue
            ink = "white" if fraction[row, column] > 0.7 else "black"
            text: dict[str, Any] = {"ha": "center", "color": ink}
            axes.text(column + 0.5, row + 0.45, f"{count:.0f}", va="bottom", fontsize=10, **text)
            axes.text(
                column + 0.5, row + 0.55, f"{fraction[row, column]:.0%}", va="top", size=7.5, **text
            )
        names = [textwrap.fill(short(display_name(name)), 26) for name in cases.classes]
        middles = np.arange(size) + 0.5
        axes.set_xticks(middles, names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(middles, names)
        axes.tick_params(length=0)
        axes.invert_yaxis()
        axes.set_aspect("equal")
        axes.spines[:].set_visible(False)
        axes.set_xlabel(t("Predicted class"))
        axes.set_ylabel(t("True class"))
        return to_svg(figure, t("Confusion matrix: number of lesions by true and predicted class"))
