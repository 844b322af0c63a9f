"""Corruptions of photographs: focus, sensor, compression, light, and objects on the skin.

Every function takes pixels (H, W, 3) uint8 of any size, a level in the unit that its entry in
`PHOTO` names, and a generator, and returns new pixels of the same shape. Lengths are fractions of
the shorter side, and grain is that of an image of `REFERENCE` pixels: a level means the same for a
photograph of 12 megapixels and for its thumbnail.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFilter

Pixels = NDArray[np.uint8]

REFERENCE = 224  # pixels of the shorter side of the image that grain and compression are stated for
GAMMA = 2.2  # exponent from pixel values to light
HAIR = (38, 26, 20)
GAUZE = (196, 188, 178)


def blur(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Defocus: a Gaussian whose standard deviation is this fraction of the shorter side."""
    radius = level * min(pixels.shape[:2])
    return np.array(Pillow.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def noise(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Sensor noise: Gaussian, whose standard deviation is this fraction of full scale."""
    grain = max(1.0, min(pixels.shape[:2]) / REFERENCE)
    field = grained(rng, pixels.shape, (grain, grain))
    return to_pixels(pixels + 255 * level * field)


def jpeg(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """JPEG compression to this quality at the reference size.

    Larger images get the enlarged artefacts of their reduced copy: at full size the same quality
    would degrade them less.
    """
    image = Pillow.fromarray(pixels)
    scale = REFERENCE / min(image.size)
    small = image
    if scale < 1:
        small = image.resize([max(1, round(scale * side)) for side in image.size])
    file = io.BytesIO()
    small.save(file, "JPEG", quality=round(level))
    # of float type, since a difference has a sign
    harm = np.asarray(Pillow.open(file), dtype=np.float32) - np.asarray(small, dtype=np.float32)
    if scale < 1:
        planes = [Pillow.fromarray(plane).resize(image.size) for plane in np.moveaxis(harm, 2, 0)]
        harm = np.stack([np.asarray(plane) for plane in planes], axis=2)
    return to_pixels(pixels + harm)


def brightness(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Over- or underexposure, drawn at random, by this number of stops (each doubles the light)."""
    return to_pixels(pixels * 2 ** (rng.choice((-1, 1)) * level / GAMMA))


def white_balance(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Colour cast: red multiplied and blue divided by this factor, or the other way round."""
    factor = level ** rng.choice((-1, 1))
    return to_pixels(pixels * np.array([factor, 1, 1 / factor]))


def hair(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """This number of dark curved hairs; those of a lower severity are a subset."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    fine = 2 if side <= 1024 else 1  # drawn larger and reduced, thin hairs have smooth edges
    cover = Pillow.new("L", (fine * width, fine * height))
    draw = ImageDraw.Draw(cover)
    along = np.linspace(0, 1, 24)[:, None]
    for _ in range(round(level)):
        start = rng.uniform(-0.1, 1.1, 2) * (width, height)
        angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.9) * side
        end = start + length * np.array([np.cos(angle), np.sin(angle)])
        bend = (start + end) / 2 + rng.normal(0, 0.15, 2) * length
        curve = (1 - along) ** 2 * start + 2 * along * (1 - along) * bend + along**2 * end
        thick = max(1, round(fine * side * rng.uniform(0.004, 0.009)))
        draw.line([tuple(point) for point in fine * curve], fill=220, width=thick, joint="curve")
    return painted(pixels, cover, HAIR)


def ruler(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """White ruler with black ticks along one side; its width is this fraction of the shorter."""
    turns = int(rng.integers(4))
    image = Pillow.fromarray(np.rot90(pixels, turns).copy())
    side = min(image.size)
    wide = max(1, round(level * side))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, image.width, wide - 1), fill=(238, 238, 232))
    step, line = max(2.0, 0.03 * side), max(1, round(0.006 * side))
    for number, x in enumerate(np.arange(step / 2, image.width, step)):
        tick = wide * (0.65 if number % 5 == 0 else 0.35)
        draw.line((x, wide - 1, x, wide - 1 - tick), fill=(20, 20, 20), width=line)
    return np.rot90(np.asarray(image), -turns).copy()


def occlusion(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Dressing over this fraction of the image; a larger one covers the smaller one."""
    height, width = pixels.shape[:2]
    side = np.sqrt(level)
    y, x = rng.random(2) * (1 - side) * (height, width)
    covered = pixels.copy()
    covered[
        round(y) : max(round(y) + 1, round(y + side * height)),
        round(x) : max(round(x) + 1, round(x + side * width)),
    ] = GAUZE
    return covered


def grained(
    rng: np.random.Generator, shape: tuple[int, ...], grain: tuple[float, float]
) -> NDArray[np.float64]:
    """Standard normal noise of a shape, with grains of this height and width in pixels."""
    rows, columns = (
        (np.arange(n) / size).astype(int) for n, size in zip(shape, grain, strict=False)
    )
    field = rng.standard_normal((rows[-1] + 1, columns[-1] + 1, *shape[2:]))
    return field[np.ix_(rows, columns)]


def painted(pixels: Pixels, cover: Pillow.Image, colour: tuple[int, int, int]) -> Pixels:
    """Blend a colour over an image (H, W, 3); `cover`, of any size, is the opacity (0 to 255)."""
    height, width = pixels.shape[:2]
    small = cover.resize((width, height), Pillow.Resampling.BILINEAR)  # bicubic would overshoot
    opacity = np.asarray(small, dtype=np.float32)[..., None] / 255
    return to_pixels((1 - opacity) * pixels + opacity * np.array(colour))


def to_pixels(values: NDArray[np.floating]) -> Pixels:
    """Round and clip to the range of a pixel."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
