"""Figures as SVG text, to be put into a page as they are.

Drawn on their own `Figure` objects, never through pyplot. Text stays text (searchable, in the
reader's font), colours are those of Okabe and Ito (2008), and lines that share a colour differ in
dash. Every function takes a table with at least one labelled row and leaves out the others.
"""

from __future__ import annotations

import io
import re
import textwrap
import warnings
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from agfnet.inference.predictions import Predictions
from agfnet.metrics.calibration import reliability
from agfnet.metrics.discrimination import class_auc, confusion
from agfnet.metrics.metric import Floats
from agfnet.metrics.risk_coverage import risk_coverage

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#6b7280"
COLOURS = (BLUE, ORANGE, "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
LONGEST = 50  # characters of a class name in a figure; the tables show all
DASHES = ("-", "--", ":")
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "agfnet",  # the same table gives the same text
    "text.parse_math": False,  # a dollar sign in a class name is a dollar sign
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "grid.color": "#e5e7eb",
    "legend.frameon": False,
}


def confusion_matrix(predictions: Predictions) -> str:
    """Counts, and per cent of each true class, of every answer; rows are the truth."""
    cases = predictions.labelled()
    counts = confusion(cases.probabilities, cases.target)
    size = len(cases.classes)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 0.62 * size
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(max(side + 2.2, 3.6), max(side + 1.9, 3)), layout="constrained")
        axes = figure.subplots()
        axes.pcolormesh(share, cmap="Blues", vmin=0, vmax=1, edgecolors="#d1d5db", linewidth=0.6)
        for row, column in np.ndindex(size, size):
            count = counts[row, column]
            if not count:
                continue
            ink = "white" if share[row, column] > 0.7 else "black"
            place: dict[str, Any] = {"ha": "center", "color": ink}
            axes.text(column + 0.5, row + 0.45, f"{count:.0f}", va="bottom", fontsize=10, **place)
            axes.text(
                column + 0.5, row + 0.55, f"{share[row, column]:.0%}", va="top", size=7.5, **place
            )
        names = [textwrap.fill(short(name), 26) for name in cases.classes]
        middles = np.arange(size) + 0.5
        axes.set_xticks(middles, names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(middles, names)
        axes.tick_params(length=0)
        axes.invert_yaxis()
        axes.set_aspect("equal")
        axes.spines[:].set_visible(False)
        axes.set_xlabel("Answer of the network")
        axes.set_ylabel("Truth")
        return to_svg(figure, "Confusion matrix: how often each class was given each answer")


def roc_curves(predictions: Predictions) -> str:
    """One-vs-rest ROC curve of each class and their mean, with the areas under them."""
    from sklearn.metrics import roc_curve

    cases = predictions.labelled()
    target = cases.target
    grid = np.linspace(0, 1, 201)
    curves: list[Floats] = []
    areas = class_auc(cases.probabilities, target)
    with mpl.rc_context(STYLE):
        lines = int(np.isfinite(areas).sum()) + 1
        figure = Figure(figsize=(4.6, 4.5 + 0.19 * lines), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=(0, (1, 3)))
        for column, area in enumerate(areas):
            if not np.isfinite(area):
                continue
            false, true, _ = roc_curve(target == column, cases.probabilities[:, column])
            curves.append(np.interp(grid, false, true))
            index = len(curves) - 1
            axes.plot(
                false,
                true,
                color=COLOURS[index % len(COLOURS)],
                linestyle=DASHES[index // len(COLOURS) % len(DASHES)],
                linewidth=1.4,
                label=f"{short(cases.classes[column])}: {area:.3f}",
            )
        if curves:
            mean = np.mean(curves, axis=0)
            label = f"mean of the classes: {np.nanmean(areas):.3f}"
            axes.plot(
                np.append(0, grid), np.append(0, mean), color="black", linewidth=2.2, label=label
            )
            title = "\nArea under the curve"
            figure.legend(loc="outside lower left", title=title, alignment="left")
        percent_axes(axes)
        axes.set_aspect("equal")
        axes.set_xlabel("False alarms (1 - specificity)")
        axes.set_ylabel("Cases found (sensitivity)")
        return to_svg(figure, "ROC curve of each class against the rest")


def reliability_diagram(predictions: Predictions, bins: int = 10) -> str:
    """Accuracy at each level of confidence with 95 % intervals, over a histogram."""
    cases = predictions.labelled()
    table = reliability(cases.probabilities, cases.target, bins)
    filled = table.cases > 0
    spread = np.abs(np.stack([table.low, table.high])[:, filled] - table.accuracy[filled])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 5.2), layout="constrained")
        upper, lower = figure.subplots(2, sharex=True, height_ratios=(4, 1))
        upper.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=(0, (1, 3)))
        upper.errorbar(
            table.confidence[filled],
            table.accuracy[filled],
            yerr=spread,
            color=BLUE,
            marker="o",
            markersize=5,
            linewidth=1.4,
            elinewidth=1,
            capsize=3,
        )
        upper.annotate("too cautious", (0.03, 0.95), color=GREY)
        upper.annotate("too confident", (0.97, 0.03), color=GREY, ha="right")
        percent_axes(upper)
        upper.set_ylabel("Share right")
        lower.bar((np.arange(bins) + 0.5) / bins, table.cases, 0.9 / bins, color=BLUE)
        lower.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        lower.set_ylabel("Cases")
        lower.set_xlabel("Confidence of the network")
        return to_svg(
            figure, "Reliability diagram: how often the network was right at each confidence"
        )


def risk_coverage_curve(predictions: Predictions) -> str:
    """Error rate among the most confident fraction of cases, against a perfect ordering."""
    cases = predictions.labelled()
    curve = risk_coverage(cases.probabilities, cases.target)
    wrong = np.sort(cases.probabilities.argmax(axis=1) != cases.target)
    accepted = np.arange(1, len(cases) + 1)
    best = np.cumsum(wrong) / accepted
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.axhline(
            wrong.mean(), color=GREY, linewidth=0.8, linestyle=(0, (1, 3)), label="all cases"
        )
        axes.plot(
            accepted / len(cases), best, color=ORANGE, linestyle="--", label="if doubt were perfect"
        )
        marker = "o" if len(curve.risk) == 1 else None
        axes.plot(curve.coverage, curve.risk, color=BLUE, marker=marker, label="this network")
        percent_axes(axes)
        axes.set_ylim(0, max(0.05, float(curve.risk.max()), float(wrong.mean())) * 1.08)
        axes.set_xlabel("Share of cases answered, most confident first")
        axes.set_ylabel("Wrong among those answered")
        figure.legend(loc="outside upper left", ncols=3)
        return to_svg(figure, "Risk-coverage curve: errors left when doubtful cases are set aside")


def percent_axes(axes: Axes) -> None:
    """Both axes from 0 to 100 %, with a grid."""
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.grid(linewidth=0.6)
    axes.set_axisbelow(True)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))


def short(name: str) -> str:
    """A class name that fits into a figure."""
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def to_svg(figure: Figure, label: str) -> str:
    """A figure as SVG text; `label` says in a sentence what it shows."""
    text = io.StringIO()
    with warnings.catch_warnings():
        # The reader's browser has the letters that the measuring font lacks, Chinese for instance.
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    drawing = text.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"\s*<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'<g id="[^"]*"', "<g", drawing)  # would repeat from figure to figure
    return drawing.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)
