"""Figures of results that are numbers with intervals already: as `plots`, SVG text for a page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from agfnet.report.plots import BLUE, GREY, ORANGE, STYLE, short, to_svg

Numbers = Mapping[str, float | None]  # value, low, high


class Panel(NamedTuple):
    """One column of a forest plot."""

    title: str
    numbers: Sequence[Numbers]  # one per row
    percent: bool = True
    line: float | None = None  # what to compare with


def forest(
    rows: Sequence[str], panels: Sequence[Panel], label: str, *, faint: Sequence[bool] = ()
) -> str:
    """Values with their intervals, a line for each row, a panel for each measure.

    Args:
        rows: their names, from the top.
        panels: the measures.
        label: what the figure shows, in a sentence.
        faint: rows to draw in grey, for instance for few cases.
    """
    faint = faint or [False] * len(rows)
    with mpl.rc_context(STYLE):
        figure = Figure(
            figsize=(2.2 + 2.1 * len(panels), 0.9 + 0.27 * len(rows)), layout="constrained"
        )
        columns = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, panel in zip(columns, panels, strict=True):
            if panel.line is not None:
                axes.axvline(panel.line, color=GREY, linewidth=0.8, linestyle=(0, (1, 3)))
            for row, (numbers, pale) in enumerate(zip(panel.numbers, faint, strict=True)):
                value, low, high = (numbers[key] for key in ("value", "low", "high"))
                if value is None:
                    axes.text(
                        0.5,
                        row,
                        "not defined",
                        transform=axes.get_yaxis_transform(),
                        color=GREY,
                        ha="center",
                        va="center",
                        fontsize=8,
                    )
                    continue
                colour = GREY if pale else BLUE
                if low is not None and high is not None:
                    axes.plot([low, high], [row, row], color=colour, linewidth=1.4)
                axes.plot(
                    [value],
                    [row],
                    "o",
                    color=colour,
                    markersize=5,
                    markerfacecolor="white" if pale else colour,
                )
            axes.set_title(panel.title, fontsize=9, loc="left")
            axes.grid(axis="x", linewidth=0.6)
            axes.set_axisbelow(True)
            axes.tick_params(axis="y", length=0)
            axes.xaxis.set_major_locator(MaxNLocator(4))
            if panel.percent:
                axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
        columns[0].set_yticks(range(len(rows)), [short(name) for name in rows])
        columns[0].set_ylim(len(rows) - 0.5, -0.5)
        return to_svg(figure, label)


def severity_curves(
    panels: Mapping[str, Sequence[Numbers]], clean: Numbers, measure: str, label: str
) -> str:
    """A measure against severity, a panel for each corruption; severity 0 is the image as it is.

    Args:
        panels: title to the numbers at severities 1 to 5.
        clean: the numbers of the images as they are.
        measure: name of the vertical axis.
        label: what the figure shows, in a sentence.
    """
    columns = min(4, len(panels))
    lines = math.ceil(len(panels) / columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(0.6 + 2 * columns, 0.5 + 1.75 * lines), layout="constrained")
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        for axes, (title, steps) in zip(grid.flat, panels.items(), strict=False):
            found = [clean, *steps]
            value, low, high = (
                [math.nan if step[key] is None else step[key] for step in found]
                for key in ("value", "low", "high")
            )
            axes.axhline(value[0], color=GREY, linewidth=0.8, linestyle=(0, (1, 3)))
            axes.fill_between(range(len(found)), low, high, color=BLUE, alpha=0.18, linewidth=0)
            axes.plot(value, color=BLUE, marker="o", markersize=3.5, linewidth=1.4)
            axes.set_title(title, fontsize=9, loc="left")
            axes.grid(axis="y", linewidth=0.6)
            axes.set_axisbelow(True)
            axes.set_ylim(0, 1.02)
            axes.set_xticks(range(len(found)))
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
        for axes in list(grid.flat)[len(panels) :]:
            axes.set_visible(False)
        figure.supxlabel("Severity", fontsize=9)
        figure.supylabel(measure, fontsize=9)
        return to_svg(figure, label)


def decision_curve(curve: Mapping[str, Any], title: str) -> str:
    """Net benefit of acting on the answer, against acting on all lesions and on none."""
    threshold = curve["threshold"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.fill_between(
            threshold,
            _known(curve["low"]),
            _known(curve["high"]),
            color=BLUE,
            alpha=0.18,
            linewidth=0,
        )
        axes.plot(threshold, _known(curve["model"]), color=BLUE, label="this network")
        axes.plot(
            threshold, _known(curve["treat_all"]), color=ORANGE, linestyle="--", label="act on all"
        )
        axes.axhline(0, color=GREY, linewidth=1, linestyle=(0, (1, 3)), label="act on none")
        top = max([0.01, *(value for value in curve["model"] if value is not None)])
        axes.set_ylim(-0.25 * top, 1.15 * top)
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
        axes.grid(linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_xlabel(f"Probability of “{short(title)}” from which one would act")
        axes.set_ylabel("Net benefit per lesion")
        figure.legend(loc="outside upper left", ncols=3)
        return to_svg(figure, "Decision curve: net benefit of the network at each threshold")


def _known(values: Sequence[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]
