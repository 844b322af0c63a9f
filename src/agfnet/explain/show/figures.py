"""Figures of explanations: maps next to the image, attention, and a sheet of many cases."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from agfnet import NOTICE
from agfnet.data.readers import Image
from agfnet.explain.show.overlay import bar_length, overlay
from agfnet.files import replacing
from agfnet.inference.fonts import set_families

Array = np.ndarray[Any, Any]
TILE = 2.3  # side of an image, inches
DPI = 110
CHARACTER = 0.08  # mean width of a character of 9 points, inches, with a margin
LEGEND = "Yellow: highest attribution of a map. Blue: lower. No colour: low. Dark: not seen."


@dataclass(frozen=True, eq=False)
class DrawnMap:
    """One map at the resolution of its image."""

    attribution: Array  # (H, W), nan outside of what the network sees
    fraction: float | None  # of the attribution in all modalities; None without any


def save_maps(
    path: Path,
    *,
    title: str,
    text: str,
    images: Mapping[str, Image],
    columns: Mapping[str, Mapping[str, DrawnMap]],
    failed_checks: Mapping[str, str],
) -> None:
    """Save a row per modality: the image, and the map of each method over it.

    Args:
        path: PNG.
        title: heading.
        text: description of the numbers, in lines.
        images: by modality.
        columns: heading of a method to its maps by modality.
        failed_checks: heading of a method to the checks that it failed on this network.
    """
    across = len(columns) + 1
    width = max(7.0, TILE * across)
    text = "\n".join(fill(line, int(width / CHARACTER)) for line in text.splitlines())
    lines = text.count("\n") + 1
    figure = Figure(
        figsize=(width, (TILE + 0.5) * len(images) + 1.3 + 0.2 * lines),
        dpi=DPI,
        layout="constrained",
    )
    rows = figure.subplots(len(images), across, squeeze=False)
    for axes, (name, image) in zip(rows, images.items(), strict=True):
        _show(axes[0], image, image.pixels, f"{name}")
        _scale_bar(axes[0], image)
        for axis, (heading, maps) in zip(axes[1:], columns.items(), strict=True):
            drawn = maps[name]
            fraction = drawn.fraction
            part = "no attribution" if fraction is None else f"{fraction:.0%} of the attribution"
            _show(axis, image, overlay(image.pixels, drawn.attribution), f"{heading}\n{part}")
            if heading in failed_checks:
                axis.set_xlabel(
                    f"Not reliable:\n{failed_checks[heading]}", fontsize=7, color="#a03000"
                )
    figure.suptitle(
        plain(title) + "\n" * (lines + 1), fontsize=10, fontweight="bold"
    )  # room for text
    figure.text(
        0.5, 1 - 0.36 / figure.get_figheight(), plain(text), ha="center", va="top", fontsize=9
    )
    figure.supxlabel(f"{LEGEND}\n{NOTICE}", fontsize=8, color="#555555")
    _save(figure, path)


def save_attention(
    path: Path,
    *,
    title: str,
    images: Mapping[str, Array],
    attention: Mapping[tuple[str, str], Array],
    selected: Mapping[str, int],
) -> None:
    """Save a row per modality: one of its regions, and the attention of that region to all images.

    Args:
        path: PNG.
        title: heading.
        images: modality to the prepared image (S, S, 3) uint8.
        attention: (query modality, key modality) to (g², g²).
        selected: modality to the query cell.
    """
    queries = [name for name in images if any(query == name for query, _ in attention)]
    figure = Figure(
        figsize=(max(6.0, TILE * (len(images) + 1)), (TILE + 0.4) * len(queries) + 0.9),
        dpi=DPI,
        layout="constrained",
    )
    rows = figure.subplots(len(queries), len(images) + 1, squeeze=False)
    for axes, query in zip(rows, queries, strict=True):
        cell = selected[query]
        grid = round(len(next(iter(attention.values()))) ** 0.5)
        side = images[query].shape[0] / grid
        _show(axes[0], None, images[query], f"this region of {query}")
        corner = (side * (cell % grid) - 0.5, side * (cell // grid) - 0.5)
        for width, colour in ((4, "black"), (2, "white")):
            axes[0].add_patch(
                Rectangle(corner, side, side, fill=False, linewidth=width, edgecolor=colour)
            )
        for axis, (key, pixels) in zip(axes[1:], images.items(), strict=True):
            if (query, key) not in attention:
                axis.set_axis_off()
                continue
            weights = attention[query, key][cell]
            text = f"attention to {key}\nmaximum {weights.max():.0%}, mean {weights.mean():.0%}"
            near = np.arange(pixels.shape[0]) * grid // pixels.shape[0]
            _show(
                axis, None, overlay(pixels, weights.reshape(grid, grid)[np.ix_(near, near)]), text
            )
    figure.suptitle(plain(title), fontsize=12, fontweight="bold")
    figure.supxlabel(NOTICE, fontsize=8, color="#555555")
    _save(figure, path)


def save_sheet(
    path: Path, *, title: str, rows: Sequence[tuple[str, Sequence[Array]]], columns: Sequence[str]
) -> None:
    """Save many cases, one per line, with text and images (h, w, 3) uint8.

    Args:
        path: PNG.
        title: heading.
        rows: text and images of each case.
        columns: headings of the images.
    """
    tile = 1.25
    figure = Figure(
        figsize=(tile * len(columns) + 1.9, tile * len(rows) + 1.0), dpi=DPI, layout="constrained"
    )
    axes = figure.subplots(len(rows), len(columns), squeeze=False)
    for line, (text, images) in zip(axes, rows, strict=True):
        for axis, pixels in zip(line, images, strict=True):
            _show(axis, None, pixels, "")
        line[0].set_ylabel(plain(text), fontsize=7, rotation=0, ha="right", va="center")
    for axis, heading in zip(axes[0], columns, strict=True):
        axis.set_title(heading, fontsize=8)
    figure.suptitle(plain(title), fontsize=11, fontweight="bold")
    figure.supxlabel(f"{LEGEND}\n{NOTICE}", fontsize=8, color="#555555")
    _save(figure, path)


def plain(text: str) -> str:
    """Escape dollar signs, which would start a formula in matplotlib."""
    return text.replace("$", r"\$")


def _show(axis: Axes, image: Image | None, pixels: Array, heading: str) -> None:
    axis.imshow(pixels, aspect=1.0 if image is None else image.aspect, interpolation="nearest")
    axis.set_title(heading, fontsize=9)
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)


def _scale_bar(axis: Axes, image: Image) -> None:
    """Draw a bar of a round length in millimetres, if the pixel spacing is known."""
    if image.spacing is None:
        return
    height, width = image.pixels.shape[:2]
    length = bar_length(width * image.spacing[1])
    pixels = length / image.spacing[1]
    x, y = 0.05 * width, 0.93 * height
    for colour, thick in (("black", 4), ("white", 2)):
        axis.plot([x, x + pixels], [y, y], color=colour, linewidth=thick, solid_capstyle="butt")
    axis.text(
        x,
        y - 0.03 * height,
        f"{length:g} mm",
        color="white",
        fontsize=8,
        va="bottom",
        bbox={"facecolor": "black", "alpha": 0.6, "pad": 1, "edgecolor": "none"},
    )


def _save(figure: Figure, path: Path) -> None:
    if missing := set_families(figure):
        _warn_of(missing)
    with replacing(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph ")  # reported above
        figure.savefig(temporary, format="png")


@cache
def _warn_of(letters: str) -> None:
    """Say once which letters are boxes in the figures."""
    logging.getLogger(__name__).warning(
        "No installed font has the letters %s: they are boxes in the figures. Install a font that"
        " has them, such as Noto Sans CJK.",
        letters,
    )
