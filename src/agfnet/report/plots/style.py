"""The style of all figures, and their way into a page as SVG text.

Figures are drawn on separate `Figure` objects, never through pyplot. Text stays text (searchable,
in the reader's font), colours are those of Okabe and Ito (2008), and lines that share a colour
differ in dash.
"""

from __future__ import annotations

import io
import re
import warnings
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from agfnet.inference.fonts import set_families

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#6b7280"
COLOURS = (BLUE, ORANGE, "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
DASHES = ("-", "--", ":")
DOTTED: dict[str, Any] = {"color": GREY, "linewidth": 0.8, "linestyle": (0, (1, 3))}
"""Appearance of a line to compare with."""
MAX_NAME_LENGTH = 50  # characters of a class name in a figure; the tables show all
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "pdf.fonttype": 42,  # fonts that journals accept
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


def line_style(number: int) -> dict[str, Any]:
    """Colour and dash of the line with this number, counted from 0."""
    dash = DASHES[number // len(COLOURS) % len(DASHES)]
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": dash}


def percent_axis(axis: Axis) -> None:
    """Label an axis in per cent."""
    axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))


def percent_axes(axes: Axes) -> None:
    """Let both axes run from 0 to 100 %, with a grid."""
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.grid(linewidth=0.6)
    axes.set_axisbelow(True)
    percent_axis(axes.xaxis)
    percent_axis(axes.yaxis)


def short(name: str) -> str:
    """A class name that fits into a figure."""
    return name if len(name) <= MAX_NAME_LENGTH else name[: MAX_NAME_LENGTH - 1] + "…"


def to_pdf(figure: Figure) -> bytes:
    """A figure as PDF; the same figure gives the same bytes."""
    content = io.BytesIO()
    set_families(figure)
    with mpl.rc_context(STYLE):
        figure.savefig(content, format="pdf", metadata={"CreationDate": None, "Creator": None})
    return content.getvalue()


def to_svg(figure: Figure, label: str) -> str:
    """A figure as SVG text; `label` is a sentence that says what it shows."""
    text = io.StringIO()
    with warnings.catch_warnings(), mpl.rc_context(STYLE):
        # The reader's browser has the letters that the measuring font lacks, Chinese for instance.
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    drawing = text.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"\s*<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'<g id="[^"]*"', "<g", drawing)  # would repeat from figure to figure
    return drawing.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)
