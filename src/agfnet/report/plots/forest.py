"""Forest plot: values with their intervals, one row per item and one panel per measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from agfnet.report.plots.style import (
    BLUE,
    DOTTED,
    GREY,
    ORANGE,
    STYLE,
    percent_axis,
    short,
    to_svg,
)
from agfnet.translation import t

Interval = Mapping[str, float | None]  # value, low, high
POINTS: dict[str, dict[str, Any]] = {
    "": {"color": BLUE, "marker": "o"},
    "few": {"color": GREY, "marker": "o", "markerfacecolor": "white"},
    "better": {"color": BLUE, "marker": "^"},
    "worse": {"color": ORANGE, "marker": "v"},
    "within noise": {"color": GREY, "marker": "o"},
    "practically the same": {"color": GREY, "marker": "s"},
}
"""Appearance of a point by its kind."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A measure of a forest plot."""

    title: str
    intervals: Sequence[Interval | None]  # one per row; nothing is drawn for None
    percent: bool = True
    reference: float | None = None  # value of a vertical line to compare with
    kinds: Sequence[str] = ()  # one of POINTS per row; all plain if empty
    note: str = ""  # below the axis


def forest(rows: Sequence[str], panels: Sequence[Panel], label: str) -> str:
    """Draw intervals.

    Args:
        rows: their names, from the top.
        panels: the measures, from the left.
        label: a sentence that says what the figure shows.
    """
    width, height = 2.2 + 2.1 * len(panels), 0.9 + 0.27 * len(rows)
    height += 0.25 * any(panel.note for panel in panels)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        columns = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, panel in zip(columns, panels, strict=True):
            draw_panel(axes, panel)
        columns[0].set_yticks(range(len(rows)), [short(name) for name in rows])
        columns[0].set_ylim(len(rows) - 0.5, -0.5)
        return to_svg(figure, label)


def draw_panel(axes: Axes, panel: Panel) -> None:
    """Draw the intervals of a measure, one row below the other."""
    if panel.reference is not None:
        axes.axvline(panel.reference, **DOTTED)
    kinds = panel.kinds or [""] * len(panel.intervals)
    for row, (interval, kind) in enumerate(zip(panel.intervals, kinds, strict=True)):
        if interval is None:
            continue
        value, low, high = (interval[key] for key in ("value", "low", "high"))
        if value is None:
            middle: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "fontsize": 8}
            axes.text(0.5, row, t("not defined"), color=GREY, ha="center", va="center", **middle)
            continue
        if low is not None and high is not None:
            axes.plot([low, high], [row, row], color=POINTS[kind]["color"], linewidth=1.4)
        axes.plot([value], [row], markersize=5, linestyle="none", **POINTS[kind])
    axes.set_title(panel.title, fontsize=9, loc="left")
    axes.grid(axis="x", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    if panel.percent:
        percent_axis(axes.xaxis)
    if panel.note:
        axes.set_xlabel(panel.note, fontsize=7.5, color=GREY)
