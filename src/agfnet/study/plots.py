"""Figures of a study as SVG text, in the style of `agfnet.report.plots.style`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from agfnet.metrics.ranks import cliques, critical_difference
from agfnet.metrics.summary import LOWER_IS_BETTER
from agfnet.report.plots.forest import Panel, forest
from agfnet.report.plots.style import BLUE, COLOURS, GREY, STYLE, line_style, short, to_svg
from agfnet.study.results import Cell, Section
from agfnet.study.tables import metric_header, metric_title

MARKERS = "os^vDP"


def differences(section: Section) -> str:
    """Draw the difference of every method from the reference with its interval, by metric."""
    methods = [name for name in section.methods if name != section.reference]
    panels = []
    for metric in section.metrics:
        cells = [section.cells.get((method, metric)) for method in methods]
        panels.append(
            Panel(
                title=_wrapped(metric_title(metric)),
                intervals=[_interval(cell) for cell in cells],
                percent=False,
                reference=0.0,
                kinds=[(cell and cell.verdict) or "within noise" for cell in cells],
                note="← better" if metric in LOWER_IS_BETTER else "better →",
            )
        )
    names = [section.display(method) for method in methods]
    label = f"Differences from {section.display(section.reference)} with 95 % intervals"
    return forest(names, panels, label)


def _interval(cell: Cell | None) -> dict[str, float | None] | None:
    """The difference of a cell; None where there is none to draw."""
    if cell is None or not math.isfinite(cell.difference):
        return None
    ends = {"low": cell.difference_low, "high": cell.difference_high}
    known = math.isfinite(cell.difference_low)
    return {"value": cell.difference} | {k: v if known else None for k, v in ends.items()}


def critical_differences(section: Section) -> str | None:
    """Draw average ranks by metric; a bar joins methods that Nemenyi's test does not separate.

    None unless the runs are independent blocks, and enough of them for the test.
    """
    panels_of = [
        (metric, ranked)
        for metric in section.metrics
        if metric in section.friedman and len(ranked := _ranked(section, metric)) > 2
    ]
    if not panels_of:
        return None
    count = len(panels_of[0][1])
    gap = critical_difference(count, section.runs)
    lines = math.ceil(count / 2)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, len(panels_of) * (0.75 + 0.2 * lines)), layout="constrained")
        panels = figure.subplots(len(panels_of), squeeze=False)[:, 0]
        for axes, (metric, ranked) in zip(panels, panels_of, strict=True):
            _rank_line(axes, ranked, gap, lines)
            axes.set_title(f"{metric_title(metric)} (critical difference {gap:.2f})", fontsize=9)
        return to_svg(figure, "Critical difference diagrams: average ranks of the methods")


def _ranked(section: Section, metric: str) -> list[tuple[float, str]]:
    cells = [section.cells.get((method, metric)) for method in section.methods]
    return sorted(
        (c.rank, section.display(c.method))
        for c in cells
        if c is not None and math.isfinite(c.rank)
    )


def _rank_line(axes: Axes, ranked: Sequence[tuple[float, str]], gap: float, lines: int) -> None:
    ranks = np.array([rank for rank, _ in ranked])
    count = len(ranks)
    bars = cliques(ranks, gap)
    top = -0.35 * len(bars)
    axes.plot([1, count], [0, 0], color="black", linewidth=0.8)
    for tick in range(1, count + 1):
        axes.plot([tick, tick], [0, 0.15], color="black", linewidth=0.8)
        axes.text(tick, 0.2, str(tick), ha="center", va="bottom", fontsize=7.5)
    for index, (rank, method) in enumerate(ranked):
        on_left = index < lines
        line = index if on_left else count - 1 - index
        height = top - 0.6 - 0.6 * line
        end = 1 - 0.15 * count / 6 if on_left else count + 0.15 * count / 6
        axes.plot([rank, rank, end], [0, height, height], color=GREY, linewidth=0.8)
        axes.text(
            end,
            height,
            f"{short(method)}  {rank:.2f} " if on_left else f" {rank:.2f}  {short(method)}",
            ha="right" if on_left else "left",
            va="center",
            fontsize=8,
        )
    for number, (first, last) in enumerate(bars, start=1):
        ends = [ranks[first] - 0.03, ranks[last] + 0.03]
        axes.plot(ends, [-0.35 * number] * 2, color=BLUE, linewidth=3, solid_capstyle="butt")
    axes.set_xlim(1 - 0.5 * count, count + 0.5 * count)
    axes.set_ylim(top - 0.6 - 0.6 * lines, 0.9)
    axes.axis("off")


def learning_curves(fractions: Mapping[str, float], sections: Sequence[Section]) -> str:
    """Draw every metric by the fraction of training patients, with the intervals as bands.

    Args:
        fractions: Setting to fraction of the training patients.
        sections: One section per setting, on the same table.
    """
    ordered = sorted(sections, key=lambda section: fractions[section.setting])
    x = np.array([100 * fractions[section.setting] for section in ordered])
    first = ordered[0]
    columns = min(3, len(first.metrics))
    rows = math.ceil(len(first.metrics) / columns)
    with mpl.rc_context(STYLE):
        legend = 0.2 * math.ceil(len(first.methods) / 3)
        size = (3.1 * columns, 2.6 * rows + legend)
        figure = Figure(figsize=size, layout="constrained")
        panels = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axes, metric in zip(panels, first.metrics, strict=False):
            for number, method in enumerate(first.methods):
                cells = [section.cells.get((method, metric)) for section in ordered]
                y, low, high = (
                    np.array([math.nan if c is None else getattr(c, name) for c in cells])
                    for name in ("value", "low", "high")
                )
                colour = COLOURS[number % len(COLOURS)]
                axes.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
                axes.plot(
                    x,
                    y,
                    **line_style(number),
                    marker=MARKERS[number % len(MARKERS)],
                    markersize=4,
                    label=short(first.display(method)) if axes is panels[0] else None,
                )
            axes.set_xscale("log")
            axes.set_xticks(x, [f"{value:g} %" for value in x], minor=False)
            axes.minorticks_off()
            axes.grid(linewidth=0.6)
            axes.set_title(metric_header(metric), fontsize=9)
            axes.set_xlabel("Training patients")
        for axes in panels[len(first.metrics) :]:
            axes.axis("off")
        figure.legend(loc="outside lower center", ncols=3)
        return to_svg(figure, "Learning curves: every metric by fraction of training patients")


def search_history(values: Mapping[str, Sequence[float]], metric: str) -> str:
    """Draw the metric of every trial of each method, and the best so far."""
    lower = metric in LOWER_IS_BETTER
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.6 + 0.2 * len(values)), layout="constrained")
        axes = figure.subplots()
        for number, (method, of_trials) in enumerate(values.items()):
            x = np.arange(1, len(of_trials) + 1)
            y = np.array(of_trials)
            best = (np.fmin if lower else np.fmax).accumulate(y)
            colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
            axes.plot(x, y, marker, color=colour, markersize=4, label=short(method))
            axes.plot(x, best, color=colour, drawstyle="steps-post", linewidth=1.2)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(linewidth=0.6)
        axes.set_xlabel("Trial")
        axes.set_ylabel(f"{metric_header(metric)}, validation cases")
        figure.legend(loc="outside upper left", ncols=3, title="Dots: trials. Lines: best so far")
        return to_svg(figure, "History of the search: every trial, and the best so far")


def _wrapped(text: str) -> str:
    return text.replace(" (", "\n(")
