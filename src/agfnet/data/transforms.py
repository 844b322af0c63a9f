"""Augmentation of an image: one random geometric and one random intensity change."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from agfnet.config import ModalityType

# photo
ZOOM = 1.2  # largest magnification; the smallest is its inverse
SHIFT = 0.05  # fraction of the side, as are all shifts here
LIGHT = 0.2  # change of brightness, contrast and saturation
HUE = 0.1  # radians about the grey axis
# ultrasound
LATERAL = 0.08
DEPTH = 0.03
GAIN = 20.0  # grey levels: the image is log-compressed, so a gain adds
CONTRAST = 0.15

_LUMINANCE = np.array([0.299, 0.587, 0.114])
_HUE_AXIS = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)


def augment(
    pixels: NDArray[np.uint8], *, kind: ModalityType, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Vary one image within what its type allows; the same generator state gives the same image.

    Args:
        pixels: (H, W, 3).
        kind: `photo`: flips, any rotation, zoom, shift; brightness, contrast, saturation, hue.
            `ultrasound`: left-right flip, shift (less in depth); gain and contrast, grey stays
            grey and black stays black.
        rng: random number generator.

    Returns:
        (H, W, 3). Surroundings that move into view are mirrored in a photo (made for images
        that are about square) and black in an ultrasound.

    Raises:
        ValueError: `kind` is neither.
    """
    if kind == "photo":
        return _recolour(_rotate(pixels, rng), rng)
    if kind == "ultrasound":
        return _regain(_shift(pixels, rng), rng)
    raise ValueError(f"kind is {kind!r}, expected photo or ultrasound")


def _rotate(pixels: NDArray[np.uint8], rng: np.random.Generator) -> Pillow.Image:
    """Rotate, flip, zoom and shift at random, in one resampling."""
    height, width = pixels.shape[:2]
    # how far half of a zoomed and shifted diagonal reaches beyond the sides
    border = math.ceil((math.sqrt(0.5) * ZOOM + SHIFT - 0.5) * max(height, width))
    source = _mirrored(Pillow.fromarray(pixels), border)
    angle = rng.uniform(0, 2 * math.pi)
    scale = ZOOM ** rng.uniform(-1, 1)
    flip = rng.choice((-1, 1))
    dx, dy = rng.uniform(-SHIFT, SHIFT, size=2) * (width, height)
    # from an output position to the input position, both seen from the centre
    a, b = flip * scale * math.cos(angle), scale * math.sin(angle)
    d, e = -flip * scale * math.sin(angle), scale * math.cos(angle)
    x, y = width / 2, height / 2
    matrix = (a, b, x + border + dx - a * x - b * y, d, e, y + border + dy - d * x - e * y)
    return source.transform(
        (width, height), Pillow.Transform.AFFINE, matrix, Pillow.Resampling.BILINEAR
    )


def _mirrored(image: Pillow.Image, border: int) -> Pillow.Image:
    """Extend an image by its reflection on all sides.

    Black corners are typical of dermoscopes, and a network could learn them.
    """
    width, height = image.size
    wide, high = width + 2 * border, height + 2 * border
    flip, flop = Pillow.Transpose.FLIP_LEFT_RIGHT, Pillow.Transpose.FLIP_TOP_BOTTOM
    whole = Pillow.new("RGB", (wide, high))
    whole.paste(image, (border, border))
    whole.paste(image.crop((0, 0, border, height)).transpose(flip), (0, border))
    right = image.crop((width - border, 0, width, height)).transpose(flip)
    whole.paste(right, (border + width, border))
    whole.paste(whole.crop((0, border, wide, 2 * border)).transpose(flop), (0, 0))
    bottom = whole.crop((0, height, wide, height + border)).transpose(flop)
    whole.paste(bottom, (0, border + height))
    return whole


def _recolour(image: Pillow.Image, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change brightness, contrast, saturation and hue by one colour matrix; grey stays grey."""
    brightness, contrast, saturation = rng.uniform(1 - LIGHT, 1 + LIGHT, size=3)
    angle = rng.uniform(-HUE, HUE)
    saturate = saturation * np.eye(3) + (1 - saturation) * _LUMINANCE
    turn = math.cos(angle) * np.eye(3) + (1 - math.cos(angle)) / 3 + math.sin(angle) * _HUE_AXIS
    centre = float(np.asarray(image)[::4, ::4].mean())
    matrix = np.empty((3, 4))
    matrix[:, :3] = brightness * contrast * (saturate @ turn)
    matrix[:, 3] = brightness * (1 - contrast) * centre
    return np.asarray(image.convert("RGB", tuple(matrix.ravel())))


def _shift(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Flip left to right and shift by whole pixels, so that the speckle is never blurred."""
    height, width = pixels.shape[:2]
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    dy = round(rng.uniform(-DEPTH, DEPTH) * height)
    dx = round(rng.uniform(-LATERAL, LATERAL) * width)
    shifted = np.zeros_like(pixels)
    shifted[max(dy, 0) : height + dy, max(dx, 0) : width + dx] = pixels[
        max(-dy, 0) : height - dy, max(-dx, 0) : width - dx
    ]
    return shifted


def _regain(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change gain and contrast; black lies outside the beam, where no gain shows anything."""
    gain = rng.uniform(-GAIN, GAIN)
    contrast = rng.uniform(1 - CONTRAST, 1 + CONTRAST)
    levels = np.clip((np.arange(256) - 128) * contrast + 128 + gain, 0, 255).round()
    levels[0] = 0
    return np.take(levels.astype(np.uint8), pixels)
