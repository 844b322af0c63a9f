"""Figures of a study, as wide as one or two columns of a journal, with text of 7 points or more."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from agfnet.metrics.ranks import cliques, critical_difference
from agfnet.metrics.summary import LOWER_IS_BETTER
from agfnet.report.plots.forest import POINTS, Panel, draw_panel
from agfnet.report.plots.style import BLUE, COLOURS, GREY, STYLE, line_style, short
from agfnet.study.results import Cell, Section
from agfnet.study.tables import WORDS, metric_header, metric_title

T = TypeVar("T")
ONE_COLUMN, TWO_COLUMNS = 88, 180
"""Widths of figures, mm."""
MAX_HEIGHT = 225  # of a figure, mm: a page of A4 with its caption
MM = 1 / 25.4  # inches
TEXT = 7.5  # points
PRINT = STYLE | {
    "font.size": TEXT,
    "axes.titlesize": TEXT + 0.5,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.markersize": 4,
}
MARKERS = "os^vDP"
NOT_TESTED = "few"  # kind of point of a difference without a verdict
LABELS = {**WORDS, NOT_TESTED: WORDS[""]}


def differences(section: Section, width: int) -> list[Figure]:
    """Draw the difference of every method from the reference with its interval, by metric.

    Args:
        section: The section.
        width: Of the figures, mm.

    Returns:
        One figure, or several if not all metrics fit on a page.
    """
    methods = [name for name in section.methods if name != section.reference]
    names = [_wrapped(section.display(method), 22) for method in methods]
    height = 14 + sum(1.6 + 3.2 * (1 + name.count("\n")) for name in names)
    panels = [_difference_panel(section, methods, metric) for metric in section.metrics]

    def draw(axes: Axes, panel: Panel) -> None:
        draw_panel(axes, panel)
        axes.set_title(panel.title, loc="left")
        axes.set_xlabel(panel.note, color=GREY)
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        spec = axes.get_subplotspec()
        axes.tick_params(axis="y", labelleft=spec is None or spec.is_first_col())

    figures = _pages(panels, draw, width, {ONE_COLUMN: 1, TWO_COLUMNS: 3}[width], height)
    kinds = list(dict.fromkeys(kind for panel in panels for kind in panel.kinds))
    for figure in figures:
        _difference_legend(figure, kinds)
    return figures


def _difference_panel(section: Section, methods: Sequence[str], metric: str) -> Panel:
    cells = [section.cells.get((method, metric)) for method in methods]
    return Panel(
        title=metric_header(metric).rstrip(" ↑↓"),
        intervals=[_interval(cell) for cell in cells],
        percent=False,
        reference=0.0,
        kinds=[(cell and cell.verdict) or NOT_TESTED for cell in cells],
        note="← better" if metric in LOWER_IS_BETTER else "better →",
    )


def _interval(cell: Cell | None) -> dict[str, float | None] | None:
    """The difference of a cell; None where there is none to draw."""
    if cell is None or not math.isfinite(cell.difference):
        return None
    ends = {"low": cell.difference_low, "high": cell.difference_high}
    known = math.isfinite(cell.difference_low)
    return {"value": cell.difference} | {k: v if known else None for k, v in ends.items()}


def _difference_legend(figure: Figure, kinds: Sequence[str]) -> None:
    axes = figure.axes[0]
    for kind in kinds:
        axes.plot([], [], linestyle="none", label=LABELS.get(kind, kind), **POINTS[kind])
    with mpl.rc_context(PRINT):
        figure.legend(loc="outside lower center", ncols=4, handletextpad=0.2, columnspacing=1.2)


def critical_differences(section: Section, width: int) -> list[Figure]:
    """Draw average ranks by metric; a bar joins methods that Nemenyi's test does not separate.

    There is none unless the runs are independent blocks, and enough of them for the test.

    Args:
        section: The section.
        width: Of the figures, mm.
    """
    panels_of = [
        (metric, ranked)
        for metric in section.metrics
        if metric in section.friedman and len(ranked := _ranked(section, metric)) > 2
    ]
    if not panels_of:
        return []
    count = len(panels_of[0][1])
    gap = critical_difference(count, section.runs)
    lines = math.ceil(count / 2)

    def draw(axes: Axes, panel: tuple[str, Sequence[tuple[float, str]]]) -> None:
        metric, ranked = panel
        _rank_line(axes, ranked, gap, lines)
        axes.set_title(f"{metric_header(metric)}, critical difference {gap:.2f}")

    return _pages(panels_of, draw, width, {ONE_COLUMN: 1, TWO_COLUMNS: 2}[width], 20 + 4.5 * lines)


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
        axes.text(tick, 0.2, str(tick), ha="center", va="bottom")
    for index, (rank, method) in enumerate(ranked):
        on_left = index < lines
        line = index if on_left else count - 1 - index
        height = top - 0.6 - 0.6 * line
        end = 1 - 0.15 * count / 6 if on_left else count + 0.15 * count / 6
        axes.plot([rank, rank, end], [0, height, height], color=GREY, linewidth=0.8)
        name = _shortened(method, 20)
        axes.text(
            end,
            height,
            f"{name}  {rank:.2f} " if on_left else f" {rank:.2f}  {name}",
            ha="right" if on_left else "left",
            va="center",
        )
    for number, (first, last) in enumerate(bars, start=1):
        ends = [ranks[first] - 0.03, ranks[last] + 0.03]
        axes.plot(ends, [-0.35 * number] * 2, color=BLUE, linewidth=3, solid_capstyle="butt")
    axes.set_xlim(1 - 0.9 * count, count + 0.9 * count)
    axes.set_ylim(top - 0.6 - 0.6 * lines, 0.9)
    axes.axis("off")


def learning_curves(
    fractions: Mapping[str, float], sections: Sequence[Section], width: int
) -> list[Figure]:
    """Draw every metric by the fraction of training patients, with 95 % intervals.

    The methods are offset from each other, so that their intervals do not overlap.

    Args:
        fractions: Setting to fraction of the training patients.
        sections: One section per setting, on the same table.
        width: Of the figures, mm.
    """
    ordered = sorted(sections, key=lambda section: fractions[section.setting])
    x = np.log([fractions[section.setting] for section in ordered])
    methods = ordered[0].methods
    names = [_shortened(ordered[0].display(method), 36) for method in methods]
    legend_columns = max(1, int(width / (1.5 * max(map(len, names)) + 12)))
    spread = min(0.6 * np.diff(x).min(), 0.25 * np.ptp(x)) if len(x) > 1 else 0.0
    offsets = spread * (np.arange(len(methods)) / max(1, len(methods) - 1) - 0.5)

    def draw(axes: Axes, metric: str) -> None:
        for number, (method, offset) in enumerate(zip(methods, offsets, strict=True)):
            cells = [section.cells.get((method, metric)) for section in ordered]
            y, low, high = (
                np.array([math.nan if c is None else getattr(c, name) for c in cells])
                for name in ("value", "low", "high")
            )
            style = line_style(number)
            axes.vlines(x + offset, low, high, color=style["color"], linewidth=0.9)
            marker = MARKERS[number % len(MARKERS)]
            axes.plot(x + offset, y, marker=marker, linewidth=0.9, label=names[number], **style)
        axes.set_xticks(x, [f"{100 * math.exp(value):g} %" for value in x])
        axes.grid(axis="y", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_title(metric_header(metric))
        axes.set_xlabel("Training patients")

    abreast = {ONE_COLUMN: 1, TWO_COLUMNS: 3}[width]
    legend = 5 + 3.6 * math.ceil(len(methods) / legend_columns)
    figures = _pages(ordered[0].metrics, draw, width, abreast, 52, legend)
    with mpl.rc_context(PRINT):
        for figure in figures:
            handles, labels = figure.axes[0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside lower center", ncols=legend_columns)
    return figures


def search_history(values: Mapping[str, Sequence[float]], metric: str) -> Figure:
    """Draw the metric of every trial of each method, and the best so far."""
    lower = metric in LOWER_IS_BETTER
    with mpl.rc_context(PRINT):
        size = (TWO_COLUMNS * MM, 3.2 + 0.2 * len(values))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        for number, (method, of_trials) in enumerate(values.items()):
            x = np.arange(1, len(of_trials) + 1)
            y = np.array(of_trials)
            best = (np.fmin if lower else np.fmax).accumulate(y)
            colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
            axes.plot(x, y, marker, color=colour, label=short(method))
            axes.plot(x, best, color=colour, drawstyle="steps-post", linewidth=1.2)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(linewidth=0.6)
        axes.set_xlabel("Trial")
        axes.set_ylabel(f"{metric_title(metric)}, validation cases")
        figure.legend(loc="outside upper left", ncols=3, title="Dots: trials. Lines: best so far")
        return figure


def _pages(
    panels: Sequence[T],
    draw: Callable[[Axes, T], None],
    width: int,
    abreast: int,
    height: float,
    legend: float = 8,
) -> list[Figure]:
    """Draw panels in a grid, on as many figures as they need.

    Args:
        panels: What to draw.
        draw: Draws a panel.
        width: Of a figure, mm.
        abreast: Maximum number of panels side by side.
        height: Of a panel, mm.
        legend: Height of the legend, mm.
    """
    rows = max(1, int((MAX_HEIGHT - legend) / height))
    columns = min(abreast, len(panels))
    number = math.ceil(len(panels) / (rows * columns))
    size = columns * math.ceil(len(panels) / (number * columns))
    figures = []
    with mpl.rc_context(PRINT):
        for start in range(0, len(panels), size):
            page = panels[start : start + size]
            lines = math.ceil(len(page) / columns)
            inches = (width * MM, (lines * height + legend) * MM)
            figure = Figure(figsize=inches, layout="constrained")
            axes = list(figure.subplots(lines, columns, squeeze=False).flat)
            for panel, cell in zip(page, axes, strict=False):
                draw(cell, panel)
            for empty in axes[len(page) :]:
                empty.remove()
            figures.append(figure)
    return figures


def _wrapped(text: str, width: int) -> str:
    """Break a name into at most two lines."""
    return "\n".join(textwrap.wrap(text, width, max_lines=2, placeholder="…"))


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
