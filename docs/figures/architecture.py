"""Draw docs/img/architecture.svg.

python docs/figures/architecture.py
"""

from __future__ import annotations

import itertools
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

OUT = Path(__file__).parents[1] / "img" / "architecture.svg"
INK, QUIET, GREEN = "#1f2933", "#5f6b7a", "#5b8c51"
PHOTO, SCAN, FUSED, FRL = "#fde3cf", "#d3e6f8", "#e4e0f5", "#e3f1df"
SMALL = {"fontsize": 7, "bbox": {"facecolor": "#f6f7f9", "edgecolor": "none", "pad": 1.5}}
PHOTO_Y, FUSED_Y, SCAN_Y = 6.2, 4.9, 3.6  # rows of the photograph, of both, and of the ultrasound


def box(axes: Axes, at: tuple[float, float], size: tuple[float, float], text: str, **style) -> None:
    """Draw a rounded box with its centre at `at`."""
    (x, y), (width, height) = at, size
    style = {"facecolor": "white", "edgecolor": INK, "linewidth": 1.0, **style}
    corner = (x - width / 2, y - height / 2)
    shape = "round,pad=0,rounding_size=0.08"
    axes.add_patch(FancyBboxPatch(corner, width, height, boxstyle=shape, **style))
    axes.text(x, y, text, ha="center", va="center", color=INK, linespacing=1.3)


def group(axes: Axes, start: float, end: float, title: str) -> None:
    """Draw the dashed frame of a part of the network."""
    frame = FancyBboxPatch(
        (start, 2.75), end - start, 4.3, boxstyle="round,pad=0,rounding_size=0.12",
        facecolor="#f6f7f9", edgecolor=QUIET, linestyle="--",
    )  # fmt: skip
    axes.add_patch(frame)
    note(axes, ((start + end) / 2, 7.3), title, color=INK, fontsize=9)


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], **style) -> None:
    """Draw an arrow from `start` to `end`."""
    style = {"color": INK, "linewidth": 1.0, "arrowstyle": "-|>", "mutation_scale": 9, **style}
    axes.add_patch(FancyArrowPatch(start, end, shrinkA=0, shrinkB=0, **style))


def note(axes: Axes, at: tuple[float, float], text: str, **style) -> None:
    """Write a small note."""
    style = {"color": QUIET, "fontsize": 7.5, "ha": "center", "va": "center", **style}
    axes.text(*at, text, **style)


def draw_modality(axes: Axes, y: float, name: str, colour: str) -> None:
    """Draw one modality from its image to its head."""
    box(axes, (0.85, y), (1.5, 0.95), name, facecolor=colour)
    box(axes, (2.85, y), (1.7, 0.95), "backbone\nstrides 8, 16, 32", facecolor=colour)
    box(axes, (5.05, y), (1.7, 0.95), "tokens (3 x 3\nconvolution)\nand guide", facecolor=colour)
    box(axes, (7.55, y), (2.1, 0.95), "attention to own\nand other contexts", facecolor=colour)
    box(axes, (10.15, y), (2.1, 0.95), "path from fine\nto coarse, gated", facecolor=colour)
    box(axes, (15.0, y), (1.7, 0.95), "own features,\ngated", facecolor=colour)
    box(axes, (17.0, y), (1.2, 0.95), "head", facecolor=colour)
    stops = ((1.6, 2.0), (3.7, 4.2), (5.9, 6.5), (8.6, 9.1), (15.85, 16.4))
    for start, end in stops:
        arrow(axes, (start, y), (end, y))


def draw_network(axes: Axes) -> None:
    """Draw what training and inference share."""
    group(axes, 3.98, 11.4, "ALL: attention-guided local learning")
    group(axes, 11.65, 16.1, "AGL: attention-guided global learning")
    draw_modality(axes, PHOTO_Y, "clinical\nphotograph", PHOTO)
    draw_modality(axes, SCAN_Y, "skin\nultrasound", SCAN)
    for start, end in ((6.9, 8.2), (9.5, 10.8)):  # the modalities inform each other twice
        for low, high in ((start, end), (end, start)):
            arrow(axes, (low, SCAN_Y + 0.48), (high, PHOTO_Y - 0.48), color=QUIET, arrowstyle="-")
    note(axes, (7.55, FUSED_Y), "contexts:\nguide-weighted means,\ng x g cells", **SMALL)
    note(axes, (10.15, FUSED_Y), "means of\nthe tokens", **SMALL)
    box(
        axes,
        (12.75, FUSED_Y),
        (1.8, 1.1),
        "fused vector:\nsum and product\n(correlation)",
        facecolor=FUSED,
    )
    for y in (PHOTO_Y, SCAN_Y):
        side = 1 if y > FUSED_Y else -1
        arrow(axes, (11.2, y), (12.2, FUSED_Y + side * 0.55))
        arrow(axes, (13.65, FUSED_Y + side * 0.2), (14.6, y - side * 0.48), color=QUIET)
    note(axes, (14.75, FUSED_Y + 0.42), "gates", fontsize=7)
    for y, bend in ((PHOTO_Y, -0.16), (SCAN_Y, 0.16)):
        side = 1 if y > FUSED_Y else -1
        arrow(axes, (2.85, y + side * 0.48), (15.0, y + side * 0.48), color=QUIET,
              connectionstyle=f"arc3,rad={bend * 0.32}")  # fmt: skip
    note(axes, (9.4, 6.93), "mean of the last map of the backbone", **SMALL)
    box(axes, (17.0, FUSED_Y), (1.2, 0.7), "head", facecolor=FUSED)
    arrow(axes, (13.65, FUSED_Y), (16.4, FUSED_Y))
    box(axes, (18.75, FUSED_Y), (1.3, 0.8), "mean of the\nlogits", facecolor=FUSED, linewidth=1.8)
    arrow(axes, (17.6, FUSED_Y), (18.1, FUSED_Y))
    for y, side in ((PHOTO_Y, 1), (SCAN_Y, -1)):
        arrow(axes, (17.6, y), (18.6, FUSED_Y + side * 0.4))


def draw_reconstruction(axes: Axes) -> None:
    """Draw FRL."""
    frame = FancyBboxPatch(
        (0.05, -0.55), 19.4, 2.75, boxstyle="round,pad=0,rounding_size=0.12",
        facecolor=FRL, alpha=0.55, edgecolor=GREEN, linestyle="--",
    )  # fmt: skip
    axes.add_patch(frame)
    title = "FRL: feature reconstruction learning, in training only"
    note(axes, (0.25, 1.92), title, color=INK, fontsize=9, ha="left")
    steps = [
        (1.9, "attribution of the\ntrue class:\ngradient x token"),
        (5.5, "mask cells where it is\nstrong, at all scales,\nor a whole modality"),
        (9.1, "decoder reconstructs\nthe masked tokens\nfrom all contexts"),
        (12.7, "paths, AGL and heads\nonce more\n(same weights)"),
    ]
    for x, text in steps:
        box(axes, (x, 0.65), (2.7, 1.25), text)
    for (x0, _), (x1, _) in itertools.pairwise(steps):
        arrow(axes, (x0 + 1.35, 0.65), (x1 - 1.35, 0.65))
    losses = (
        "losses: reconstruction (cosine),\ncross-entropy, consistency (KL),\n"
        "focus (the guide learns the attribution)"
    )
    note(axes, (16.9, 0.65), losses, color=INK, fontsize=8.5)
    arrow(axes, (14.05, 0.65), (14.7, 0.65))


def main() -> None:
    """Draw and save the figure."""
    settings = {"font.size": 8, "font.family": "DejaVu Sans", "svg.hashsalt": "agfnet"}
    mpl.rcParams.update(settings | {"svg.fonttype": "path"})
    figure, axes = plt.subplots(figsize=(14.6, 6.2))
    axes.set(xlim=(-0.1, 19.6), ylim=(-0.7, 7.6))
    axes.axis("off")
    draw_network(axes)
    draw_reconstruction(axes)
    figure.savefig(OUT, bbox_inches="tight", metadata={"Date": None})


if __name__ == "__main__":
    main()
