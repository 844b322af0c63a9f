"""Callipers and text that were drawn into an ultrasound image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, label, minimum_filter1d

BRIGHT, DROP, SAME = 120, 45, 8
"""A stroke of white ink: its least brightness, its least contrast to the grey two pixels to
either side, and the most that its grey varies along it."""
RUN = 5
"""Shortest stroke, in pixels."""
PLAIN = 40
"""Largest chroma of white ink, and of its surroundings."""
STROKES = 2
"""Fewest strokes that count as drawn."""
CHROMA = 80
"""Difference of the largest and the smallest channel from which ink is coloured."""
TINT = 12
"""The same difference, up to which a pixel is grey."""
INK = 25
"""Fewest pixels of coloured ink that count as drawn."""
THIN = 0.3
"""Largest share of coloured ink that is left when its edges are taken off: more is a colour
overlay, as of Doppler."""


def white_marks(grey: NDArray[np.uint8], chroma: NDArray[np.uint8]) -> bool:
    """Return whether white callipers or letters are drawn into (H, W).

    Only upright strokes count, which nearly every letter, digit and cross has: tissue has layers
    that are as thin, bright and level along the skin, but nothing of the kind across it. Speckle
    is not level along any line of `RUN` pixels. Unlike
    `agfnet.data.ultrasound.find_annotations`, which finds every pixel to remove, and some of the
    tissue, this is to be right about clean images.

    Args:
        grey: (H, W).
        chroma: (H, W), difference of the largest and the smallest channel.
    """
    values = grey.astype(np.int16)
    inner = values[:, 2:-2]
    sides = np.maximum(values[:, :-4], values[:, 4:])
    ridge = (inner >= BRIGHT) & (inner - sides >= DROP)
    if chroma.max() > PLAIN:  # colour Doppler has thin strokes, and so has tissue next to it
        plain = chroma <= PLAIN
        ridge &= plain[:, :-4] & plain[:, 2:-2] & plain[:, 4:]
    if np.count_nonzero(ridge) < STROKES * RUN:
        return False
    ridge[1:-1] |= ridge[:-2] & ridge[2:]  # where the other arm of a cross is next to it
    steps = ridge[:-1] & ridge[1:] & (np.abs(np.diff(inner, axis=0)) <= SAME)
    runs = minimum_filter1d(steps.astype(np.uint8), RUN - 1, axis=0, mode="constant")
    return int(label(runs, structure=np.ones((3, 3)))[1]) >= STROKES


def coloured_marks(chroma: NDArray[np.uint8]) -> bool:
    """Return whether thin coloured lines are drawn into an otherwise grey image.

    Args:
        chroma: (H, W), difference of the largest and the smallest channel.
    """
    ink = chroma >= CHROMA
    count = np.count_nonzero(ink)
    if count < INK or count > ink.size // 10 or np.count_nonzero(chroma > TINT) > chroma.size // 2:
        return False
    width = max(3, max(ink.shape) // 150)
    remaining = np.count_nonzero(binary_erosion(ink, np.ones((width, width))))
    return bool(remaining <= THIN * count)
