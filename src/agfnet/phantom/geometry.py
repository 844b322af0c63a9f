"""Random shapes and textures that both views draw with. Lengths in pixels or in any one unit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Image = NDArray[np.float32]


def smoothstep(x: Image, low: float, high: float) -> Image:
    """Rises smoothly from 0 at `low` to 1 at `high`; `low` may be the larger one."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    length: float | tuple[float, float],
    *,
    finest: float = 0.0,
) -> Image:
    """A Gaussian random field (H, W) of mean 0 and variance 1.

    Args:
        rng: Source of chance.
        shape: (H, W).
        length: Correlation length along rows and columns, in pixels.
        finest: With `finest` in (0, 1), a power spectrum that falls off as 1/f from `length` down
            to `finest * length`, instead of one scale: clouds instead of blobs.
    """
    lz, lx = (length, length) if isinstance(length, int | float) else length
    fz = (np.fft.fftfreq(shape[0]) * lz).astype(np.float32)[:, None]
    fx = (np.fft.rfftfreq(shape[1]) * lx).astype(np.float32)[None, :]
    f2 = (2 * np.pi) ** 2 * (fz * fz + fx * fx)
    if finest:
        amplitude = np.exp(-0.5 * finest**2 * f2) / (1 + f2)
    else:
        amplitude = np.exp(-0.5 * f2)
    amplitude[0, 0] = 0
    draws = rng.standard_normal((2, *amplitude.shape), dtype=np.float32)
    field = fft.irfft2((draws[0] + 1j * draws[1]) * amplitude, s=shape)
    return (field / (field.std() + 1e-12)).astype(np.float32)


def profile(rng: np.random.Generator, x: Image, length: float) -> Image:
    """A smooth random curve over the increasing positions x, mean 0, sd about 1."""
    count = int((x[-1] - x[0]) / length) + 5
    knots = rng.standard_normal(count).astype(np.float32)
    t = (x - x[0]) / length + rng.uniform(0, 1)
    i = t.astype(np.int64)
    f = t - i
    weights = ((1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4, -3 * f**3 + 3 * f**2 + 3 * f + 1, f**3)
    curve = sum(w * knots[i + k] for k, w in enumerate(weights)) / 6
    return np.asarray(curve * 1.45, dtype=np.float32)  # B-splines shrink the variance of the knots


def outline(
    rng: np.random.Generator, angle: Image, irregularity: float, *, modes: int = 9
) -> Image:
    """Radius of a closed irregular curve in each direction, about 1; `irregularity` is its sd."""
    k = np.arange(2, 2 + modes)
    sizes = irregularity * rng.standard_normal(modes) * (k / 2.0) ** -0.9
    phases = rng.uniform(0, 2 * np.pi, modes)
    radius = np.ones_like(angle)
    for order, size, phase in zip(k, sizes, phases, strict=True):
        radius += np.float32(size) * np.cos(np.float32(order) * angle + np.float32(phase))
    return np.clip(radius, 0.45, 1.7)
