"""Random shapes and textures with which both modalities are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw
from scipy import fft

Image = NDArray[np.floating[Any]]
"""A real field or curve, single precision."""
Pixels = NDArray[np.uint8]
"""An image as it is written to a file: (H, W) or (H, W, 3)."""


def smoothstep(x: Image, low: float, high: float) -> Image:
    """Rise smoothly from 0 at `low` to 1 at `high`; `low` may be the larger one."""
    t: Image = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def gauss(x: Image, sd: float) -> Image:
    """Return exp(-x^2 / (2 sd^2))."""
    scaled: Image = x * np.float32(1 / sd)
    curve: Image = np.exp(-0.5 * scaled * scaled)
    return curve


def noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    length: float | tuple[float, float],
    *,
    finest: float = 0.0,
) -> Image:
    """Draw a Gaussian random field (H, W) of mean 0 and variance 1.

    Args:
        rng: Random number generator.
        shape: (H, W).
        length: Correlation length along rows and columns, in pixels.
        finest: In (0, 1), adds details from `length` down to `finest * length`, the finer the
            weaker: clouds instead of blobs. 0 adds none.
    """
    lz, lx = (length, length) if isinstance(length, int | float) else length
    # beyond 0.6 cycles per shortest length the spectrum is below a thousandth
    reach = 0.6 / (finest or 1.0)
    rows = min(shape[0] // 2, int(reach * shape[0] / lz) + 2)
    columns = min(shape[1] // 2 + 1, int(reach * shape[1] / lx) + 2)
    kept = np.r_[:rows, shape[0] - rows : shape[0]]
    fz = (np.fft.fftfreq(shape[0])[kept] * lz).astype(np.float32)[:, None]
    fx = (np.fft.rfftfreq(shape[1])[:columns] * lx).astype(np.float32)
    f2 = np.float32((2 * np.pi) ** 2) * (fz * fz + fx * fx)
    amplitude = np.exp(np.float32(-0.5 * (finest or 1.0) ** 2) * f2)
    if finest:
        amplitude /= 1 + f2
    amplitude[0, 0] = 0
    draws = rng.standard_normal((*amplitude.shape, 2), dtype=np.float32)
    spectrum = np.zeros((shape[0], columns), dtype=np.complex64)
    spectrum[kept] = draws.view(np.complex64)[..., 0] * amplitude
    field: Image = fft.irfft(fft.ifft(spectrum, axis=0), n=shape[1], axis=1)
    return field / np.float32(field.std() + 1e-12)


def profile(rng: np.random.Generator, x: Image, length: float) -> Image:
    """Draw a smooth random curve over increasing positions x, of mean 0 and variance about 1."""
    count = int((x[-1] - x[0]) / length) + 5
    knots = rng.standard_normal(count).astype(np.float32)
    t = (x - x[0]) / np.float32(length) + np.float32(rng.uniform(0, 1))
    i = t.astype(np.int64)
    f = t - i.astype(np.float32)
    weights = ((1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4, -3 * f**3 + 3 * f**2 + 3 * f + 1, f**3)
    curve: Image = sum((w * knots[i + k] for k, w in enumerate(weights)), np.zeros_like(t))
    return curve * np.float32(1.45 / 6)  # B-splines shrink the variance of their knots


def outline(rng: np.random.Generator, angle: Image, irregularity: float) -> Image:
    """Draw the radius of a closed irregular curve in each direction.

    Its mean is about 1, and `irregularity` is its standard deviation.
    """
    order = np.arange(2, 11)
    sizes = irregularity * rng.standard_normal(len(order)) * (order / 2.0) ** -1.6
    phases = rng.uniform(0, 2 * np.pi, len(order))
    radius: Image = np.ones_like(angle)
    for k, size, phase in zip(order, sizes, phases, strict=True):
        radius += np.float32(size) * np.cos(np.float32(k) * angle + np.float32(phase))
    clipped: Image = np.clip(radius, 0.45, 1.7)
    return clipped


Stroke = tuple[NDArray[np.float64], float]
"""Points (n, 2) as (x, y) in pixels, and its width in pixels."""


def strokes(size: int, paths: list[Stroke]) -> Image:
    """Return the coverage (size, size) in [0, 1] by strokes."""
    oversample = 3
    canvas = Pillow.new("L", (size * oversample, size * oversample))
    draw = ImageDraw.Draw(canvas)
    for points, width in paths:
        pixels = width * oversample
        line = [(float(x), float(y)) for x, y in points * oversample]
        shade = min(255, int(255 * pixels))  # thinner than a pixel: fainter
        draw.line(line, fill=shade, width=max(1, round(pixels)), joint="curve")
    small = canvas.resize((size, size), Pillow.Resampling.BOX)
    return np.asarray(small, dtype=np.float32) / np.float32(255)


def walk(
    rng: np.random.Generator, start: NDArray[np.float64], heading: float, step: float, wander: float
) -> NDArray[np.float64]:
    """Draw a winding line of 14 points (14, 2), like a small vessel."""
    turns = heading + np.cumsum(rng.normal(0, wander, 14))
    return np.asarray(start + np.cumsum(step * np.stack([np.cos(turns), np.sin(turns)], 1), axis=0))
