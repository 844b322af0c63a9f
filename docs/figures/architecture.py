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
INK, QUIET = "#1f2933", "#5f6b7a"
PHOTO, SCAN, FUSED, FRL = "#fde3cf", "#d3e6f8", "#e4e0f5", "#e3f1df"


def box(axes: Axes, at: tuple[float, float], size: tuple[float, float], text: str, **style) -> None:
    """Draw a rounded box with its centre at `at`."""
    (x, y), (width, height) = at, size
    style = {"facecolor": "white", "edgecolor": INK, "linewidth": 1.0, **style}
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.08",
            **style,
        )
    )
    axes.text(x, y, text, ha="center", va="center", color=INK, linespacing=1.35)


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], **style) -> None:
    """Draw an arrow from `start` to `end`."""
    style = {"color": INK, "linewidth": 1.0, "arrowstyle": "-|>", "mutation_scale": 9, **style}
    axes.add_patch(FancyArrowPatch(start, end, shrinkA=0, shrinkB=0, **style))


def note(axes: Axes, at: tuple[float, float], text: str, **style) -> None:
    """Write a small note."""
    style = {"color": QUIET, "fontsize": 7, "ha": "center", "va": "center", **style}
    axes.text(*at, text, **style)


def modality(axes: Axes, y: float, name: str, colour: str) -> None:
    """Draw one modality from its image to its tokens after local learning."""
    box(axes, (0.75, y), (1.3, 0.9), name, facecolor=colour)
    box(axes, (2.6, y), (1.5, 0.9), "backbone\nstrides 8, 16, 32", facecolor=colour)
    box(axes, (4.65, y), (1.7, 0.9), "tokens (N, d)\nguide (N) in (0, 1)", facecolor=colour)
    box(axes, (9.15, y), (1.9, 0.9), "attend to this and\nother contexts, FFN", facecolor=colour)
    for x0, x1 in ((1.4, 1.85), (3.35, 3.8), (5.5, 8.2)):
        arrow(axes, (x0, y), (x1, y))


def main() -> None:
    """Draw and save the figure."""
    mpl.rcParams.update(
        {
            "font.size": 9,
            "font.family": "DejaVu Sans",
            "svg.hashsalt": "agfnet",
            "svg.fonttype": "none",
        }
    )
    figure, axes = plt.subplots(figsize=(12.4, 6.3))
    axes.set(xlim=(-0.1, 14.9), ylim=(-0.6, 7.0))
    axes.axis("off")

    axes.add_patch(
        FancyBboxPatch((5.75, 2.95), 4.6, 3.55, boxstyle="round,pad=0,rounding_size=0.12",
                       facecolor="#f6f7f9", edgecolor=QUIET, linestyle="--")
    )  # fmt: skip
    note(axes, (8.05, 6.7), "ALL: attention-guided local learning", color=INK, fontsize=9)
    axes.add_patch(
        FancyBboxPatch((10.75, 2.95), 2.2, 3.55, boxstyle="round,pad=0,rounding_size=0.12",
                       facecolor="#f6f7f9", edgecolor=QUIET, linestyle="--")
    )  # fmt: skip
    note(axes, (11.85, 6.7), "AGL: global learning", color=INK, fontsize=9)

    modality(axes, 5.8, "clinical\nphotograph", PHOTO)
    modality(axes, 3.65, "skin\nultrasound", SCAN)
    for y, colour in ((5.8, PHOTO), (3.65, SCAN)):
        inner = 5.15 if y > 5 else 4.3
        box(axes, (6.85, inner), (1.7, 0.55), "context, S·g² tokens", facecolor=colour)
        arrow(axes, (5.5, y), (6.2, inner + (0.28 if y > 5 else -0.28)))
        for target in (5.8, 3.65):
            bend = 0.35 if target > 5 else -0.35
            arrow(axes, (7.7, inner), (8.2, target - bend * 0.6), color=QUIET)
    note(axes, (6.85, 4.72), "guide-weighted averages, g x g cells")

    for y, name, colour in (
        (5.8, "view query", PHOTO),
        (4.72, "fusion query", FUSED),
        (3.65, "view query", SCAN),
    ):
        box(axes, (11.85, y), (1.5, 0.62), name, facecolor=colour)
        box(axes, (14.0, y), (1.2, 0.62), "diagnosis" if colour == FUSED else "auxiliary\nhead",
            facecolor=colour, linewidth=1.8 if colour == FUSED else 1.0)  # fmt: skip
        arrow(axes, (12.6, y), (13.4, y))
    for y in (5.8, 3.65):
        arrow(axes, (10.1, y), (11.1, y))
        arrow(axes, (10.1, y), (11.1, 4.72), color=QUIET)
    for low, high in ((3.96, 4.41), (5.03, 5.49)):
        arrow(axes, (11.85, low), (11.85, high), arrowstyle="<|-|>", color=QUIET)

    axes.add_patch(
        FancyBboxPatch((0.05, -0.45), 14.6, 2.75, boxstyle="round,pad=0,rounding_size=0.12",
                       facecolor=FRL, alpha=0.55, edgecolor="#5b8c51", linestyle="--")
    )  # fmt: skip
    note(axes, (0.25, 2.02), "FRL: feature reconstruction learning, in training only",
         color=INK, fontsize=9, ha="left")  # fmt: skip
    steps = [
        (1.6, "attribution of the\ntrue class:\ngradient x token"),
        (4.5, "mask cells where it is\nstrong, at all scales,\nor a whole modality"),
        (7.4, "decoder reconstructs\nthe masked tokens\nfrom all contexts"),
        (10.3, "AGL and heads\nonce more\n(same weights)"),
    ]
    for x, text in steps:
        box(axes, (x, 0.75), (2.3, 1.25), text)
    for (x0, _), (x1, _) in itertools.pairwise(steps):
        arrow(axes, (x0 + 1.15, 0.75), (x1 - 1.15, 0.75))
    arrow(axes, (4.65, 3.2), (4.55, 1.38), color="#5b8c51")
    arrow(
        axes,
        (11.85, 2.95),
        (2.0, 1.38),
        color="#5b8c51",
        connectionstyle="arc3,rad=0.06",
        linestyle=":",
    )
    losses = [
        (1.35, "cosine distance to the\noriginal tokens"),
        (0.7, "cross-entropy"),
        (0.15, "consistency with the\nfirst prediction (KL)"),
    ]
    for y, text in losses:
        note(axes, (13.15, y), text, color=INK, fontsize=8)
    arrow(axes, (11.45, 0.75), (12.2, 0.75))
    figure.savefig(OUT, bbox_inches="tight", metadata={"Date": None})


if __name__ == "__main__":
    main()
