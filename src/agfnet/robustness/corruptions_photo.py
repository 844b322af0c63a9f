"""What happens to photographs: focus, sensor, compression, light, and things that lie on the skin.

Every function takes pixels (H, W, 3) uint8 of any size, a level in the unit that its entry in
`PHOTO` names, and a generator, and returns new pixels of the same shape. Lengths are shares of the
shorter side, and grain is that of an image of `REFERENCE` pixels: a level means the same for a
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
GAMMA = 2.2  # of a photograph's pixels, as against the light that made them
HAIR = (38, 26, 20)
GAUZE = (196, 188, 178)


def blur(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Out of focus: a Gaussian of this standard deviation, as a share of the shorter side."""
    radius = level * min(pixels.shape[:2])
    return np.array(Pillow.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def noise(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Sensor noise: Gaussian, of this standard deviation as a share of full scale."""
    grain = max(1.0, min(pixels.shape[:2]) / REFERENCE)
    field = grained(rng, pixels.shape, (grain, grain))
    return to_pixels(pixels + 255 * level * field)


def jpeg(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Compression to this JPEG quality at the reference size.

    Larger images get the artefacts that their reduced copy has, enlarged: at their own size the
    same quality would harm them less.
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
    """Exposed too long or too short, as drawn, by so many stops (each doubles the light)."""
    return to_pixels(pixels * 2 ** (rng.choice((-1, 1)) * level / GAMMA))


def white_balance(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Light of another colour: red times this and blue divided by it, or the other way round."""
    factor = level ** rng.choice((-1, 1))
    return to_pixels(pixels * np.array([factor, 1, 1 / factor]))


def hair(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """So many dark curved hairs; more of them leave the first ones where they are."""
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
    """A white ruler with black ticks along one side, of this width as a share of the shorter."""
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
    """A dressing over this share of the image, somewhere; a larger one covers the smaller one."""
    height, width = pixels.shape[:2]
    side = np.sqrt(level)
    top, left = rng.random(2) * (1 - side) * (height, width)
    covered = pixels.copy()
    covered[
        round(top) : max(round(top) + 1, round(top + side * height)),
        round(left) : max(round(left) + 1, round(left + side * width)),
    ] = GAUZE
    return covered


def grained(
    rng: np.random.Generator, shape: tuple[int, ...], grain: tuple[float, float]
) -> NDArray[np.float64]:
    """Standard normal noise of a shape, whose grains are so many pixels high and wide."""
    rows, columns = (
        (np.arange(n) / size).astype(int) for n, size in zip(shape, grain, strict=False)
    )
    field = rng.standard_normal((rows[-1] + 1, columns[-1] + 1, *shape[2:]))
    return field[np.ix_(rows, columns)]


def painted(pixels: Pixels, cover: Pillow.Image, colour: tuple[int, int, int]) -> Pixels:
    """A colour laid over an image (H, W, 3), as thick as `cover` says, of whatever size."""
    height, width = pixels.shape[:2]
    small = cover.resize((width, height), Pillow.Resampling.BILINEAR)  # bicubic would overshoot
    share = np.asarray(small, dtype=np.float32)[..., None] / 255
    return to_pixels((1 - share) * pixels + share * np.array(colour))


def to_pixels(values: NDArray[np.floating]) -> Pixels:
    """Rounded and clipped to what a pixel can hold."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
