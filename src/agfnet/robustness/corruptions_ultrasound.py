"""Corruptions of ultrasound: scanner settings, physics, and annotations on the image.

As in `corruptions_photo`, every function takes pixels (H, W, 3) uint8 of any size, a level in the
unit that `ULTRASOUND` names, and a generator. Lengths are fractions of the sides; depth points
down. An image is log-compressed: a factor of the echo is added to its grey level, by
`LEVELS_PER_DB`, since most files do not state the dynamic range. Black stays black: it lies outside
the beam, or has no echo that a gain could show.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from agfnet.robustness.corruptions_photo import REFERENCE, Pixels, grained, painted, to_pixels

LEVELS_PER_DB = 255 / 60  # for a dynamic range of 60 dB, a common default of scanners
SHADOW = 25.0  # dB
MARKS = (236, 232, 120)


def gain(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Gain that is too high or too low, drawn at random, by this number of dB."""
    return _amplified(pixels, np.array(rng.choice((-1, 1)) * level))


def speckle(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Additional speckle: this multiple of fully developed (Rayleigh) speckle."""
    unit = min(pixels.shape[:2]) / REFERENCE
    grain = max(1.0, unit), max(1.0, 2 * unit)  # finer in depth than across
    height, width = pixels.shape[:2]
    real, imaginary = grained(rng, (height, width, 2), grain).transpose(2, 0, 1)
    amplitude = np.sqrt((real**2 + imaginary**2) / 2)
    return _amplified(pixels, level * 20 * np.log10(np.maximum(amplitude, 1e-3)))


def attenuation(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Attenuation with depth: 0 at the upper edge, this number of dB at the lower edge."""
    depth = (np.arange(len(pixels)) + 0.5) / len(pixels)
    return _amplified(pixels, -level * depth[:, None])


def shadow(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Acoustic shadow down to the lower edge, over this fraction of the width."""
    height, width = pixels.shape[:2]
    centre, top = rng.uniform(0.3, 0.7), rng.uniform(0.05, 0.3)
    soft = 0.02  # width of its edge, as a fraction of the sides
    across = np.abs((np.arange(width) + 0.5) / width - centre) - level / 2
    down = (np.arange(height) + 0.5) / height - top
    dark = np.clip(0.5 - across / soft, 0, 1) * np.clip(0.5 + down / soft, 0, 1)[:, None]
    return _amplified(pixels, -SHADOW * dark)


def depth_scale(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Depth setting changed by this factor or its inverse, drawn at random.

    Enlarging loses the tissue below the lower edge; reducing leaves black there.
    """
    height, width = pixels.shape[:2]
    image = Pillow.fromarray(pixels)
    if rng.random() < 0.5:
        return np.array(
            image.resize((width, height), Pillow.Resampling.BILINEAR, (0, 0, width, height / level))
        )
    inner = max(1, round(height / level))
    scaled = np.zeros_like(pixels)
    scaled[:inner] = np.asarray(image.resize((width, inner), Pillow.Resampling.BILINEAR))
    return scaled


def marks(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """This number of annotations: in turn two callipers with a dotted line, and a text."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    fine = 2 if side <= 1024 else 1
    cover = Pillow.new("L", (fine * width, fine * height))
    draw = ImageDraw.Draw(cover)
    line = max(1, round(fine * 0.006 * side))
    arm = max(1.0, fine * 0.02 * side)
    font = ImageFont.load_default(size=max(6.0, fine * 0.05 * side))
    for number in range(round(level)):
        ends = fine * rng.uniform(0.1, 0.9, (2, 2)) * (width, height)
        size = rng.uniform(1, 20)
        if number % 2:
            corner = (float(ends[0, 0]) / 2, float(ends[0, 1]))
            draw.text(corner, f"{number // 2 + 1} Dist {size:.1f} mm", fill=240, font=font)
            continue
        for x, y in ends:
            draw.line((x - arm, y, x + arm, y), fill=240, width=line)
            draw.line((x, y - arm, x, y + arm), fill=240, width=line)
        for x, y in np.linspace(ends[0], ends[1], 18):
            draw.ellipse((x - line / 2, y - line / 2, x + line / 2, y + line / 2), fill=240)
    return painted(pixels, cover, MARKS)


def _amplified(pixels: Pixels, decibel: NDArray[np.float64]) -> Pixels:
    """Raise the echoes by this number of dB, of shape (), (H, 1) or (H, W)."""
    change = LEVELS_PER_DB * decibel[..., None]
    return np.where(pixels.any(axis=2, keepdims=True), to_pixels(pixels + change), pixels)
