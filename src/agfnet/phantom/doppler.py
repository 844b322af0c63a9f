"""Colour Doppler: flow in and around a lesion, drawn over its B-mode image."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from agfnet.phantom.geometry import Image, Pixels, strokes, walk

VESSELS = {"band": 1.0, "cystic": 0.2, "infiltrating": 8.0, "shadowing": 2.0, "lobular": 0.4}
"""Mean number of vessels in a lesion of each depth phenotype; qualitative."""
THRESHOLD = 0.3
"""Fraction of the scale below which flow is not shown."""


def overlay(
    image: Pixels, mask: Image, *, depth: str, spacing: float, rng: np.random.Generator
) -> Pixels:
    """Return a B-mode image with a flow box, (size, size, 3).

    Red to yellow flows towards the transducer, blue to cyan away from it.

    Args:
        image: B-mode (size, size).
        mask: Lesion (size, size), in [0, 1].
        depth: Depth phenotype, which decides how vascular the lesion is.
        spacing: Pixel spacing, mm.
        rng: Random number generator; one in the same state draws the same vessels.
    """
    size = len(image)
    colour = np.repeat(image[..., None], 3, axis=2)
    rows, columns = np.nonzero(mask > 0.5)
    if len(rows) == 0:
        return colour
    flow = _flow(rows, columns, size, rng.poisson(VESSELS[depth]) + rng.poisson(0.5), spacing, rng)
    margin = round(0.8 / spacing)
    top, bottom = max(int(rows.min()) - margin, 0), min(int(rows.max()) + margin, size - 1)
    first, last = max(int(columns.min()) - margin, 0), min(int(columns.max()) + margin, size - 1)
    box = np.s_[top : bottom + 1, first : last + 1]
    speed = np.clip(np.abs(flow[box]), 0, 1)
    bright = (255 * np.clip(2 * speed - 1, 0, 1)).astype(np.uint8)
    full = (110 + 145 * np.clip(2 * speed, 0, 1)).astype(np.uint8)
    none = np.zeros_like(full)
    towards = np.stack([full, bright, none], axis=2)
    away = np.stack([none, bright, full], axis=2)
    shown = np.where((flow[box] > 0)[..., None], towards, away)
    colour[box] = np.where((speed > THRESHOLD)[..., None], shown, colour[box])
    edge = (200, 200, 200)
    colour[top, first : last + 1] = colour[bottom, first : last + 1] = edge
    colour[top : bottom + 1, first] = colour[top : bottom + 1, last] = edge
    return colour


def _flow(
    rows: np.ndarray[tuple[int], np.dtype[np.int64]],
    columns: np.ndarray[tuple[int], np.dtype[np.int64]],
    size: int,
    vessels: int,
    spacing: float,
    rng: np.random.Generator,
) -> Image:
    """Draw the velocity (size, size), about -1 to 1, of vessels that start in the lesion."""
    flow = np.zeros((size, size), dtype=np.float32)
    for _ in range(vessels):
        at = int(rng.integers(len(rows)))
        start = np.array([columns[at], rows[at]], dtype=float)
        track = walk(rng, start, rng.uniform(0, 2 * np.pi), rng.uniform(0.06, 0.14) / spacing, 0.45)
        velocity = rng.choice([-1.0, 1.0]) * rng.uniform(0.6, 1.4)
        flow += np.float32(velocity) * strokes(size, [(track, rng.uniform(0.12, 0.26) / spacing)])
    smooth: Image = ndimage.gaussian_filter(flow, (0.05 / spacing, 0.09 / spacing))
    return smooth
