"""The five surface phenotypes: what a lesion changes in the pigments and the relief of the skin."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from agfnet.phantom.geometry import (
    Image,
    gauss,
    noise,
    outline,
    profile,
    smoothstep,
    strokes,
    walk,
)


class Scene:
    """A square piece of skin (H, W): pigments and relief, to which everything visible adds.

    Args:
        size: H = W, pixels.
        field: Side of the scene, mm.
        width: Width of the lesion, mm.
        rng: Source of chance, for the lesion's place and all that is drawn.
    """

    def __init__(self, *, size: int, field: float, width: float, rng: np.random.Generator) -> None:
        self.rng, self.size, self.field = rng, size, field
        self.per_mm = size / field
        self.half = width / 2
        axis = ((np.arange(size, dtype=np.float32) + 0.5) / size - 0.5) * np.float32(field)
        self.across, self.down = np.meshgrid(axis, axis)  # from the middle of the image, mm
        turn = rng.uniform(0, 2 * np.pi)
        self.centre = rng.uniform(-0.07, 0.07, 2) * field
        dx, dy = self.across - np.float32(self.centre[0]), self.down - np.float32(self.centre[1])
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        x = cos * dx + sin * dy
        y = (cos * dy - sin * dx) / np.float32(rng.uniform(0.8, 1.0))
        self.radius: Image = np.hypot(x, y)  # from the lesion's centre, on its longer axis, mm
        self.angle: Image = np.arctan2(y, x)

        def empty() -> Image:
            return np.zeros((size, size), dtype=np.float32)

        self.melanin, self.blood, self.deep = empty(), empty(), empty()  # densities
        self.scale, self.crust = empty(), empty()  # cover by keratin and dried blood, 0 to 1
        self.height = empty()  # mm
        self.gloss = empty() + 1  # of healthy skin 1
        self.lesion = empty()  # 0 to 1

    def texture(self, length: float, finest: float = 0.0) -> Image:
        """Random field with a correlation length in mm."""
        pixels = max(length * self.per_mm, 0.6)
        return noise(self.rng, (self.size, self.size), pixels, finest=finest)

    def border(self, irregularity: float, ragged: float = 0.0) -> Image:
        """Place the lesion: 0 at its centre, 1 on its border."""
        d = self.radius / (np.float32(self.half) * outline(self.rng, self.angle, irregularity))
        if ragged:
            d = np.maximum(d + np.float32(ragged) * self.texture(0.8, 0.15), 0)
        self.lesion = smoothstep(d, 1.06, 0.94)
        return d

    def dome(self, d: Image, height: float, power: float = 2.0) -> None:
        """Raise the lesion as a dome, mm; the higher the power, the flatter its top."""
        self.height += np.float32(height) * np.clip(1 - d**power, 0, 1) ** 0.8


def pigmented(s: Scene) -> None:
    """Brown macule or papule: irregular border, uneven colour, network and globules."""
    rng = s.rng
    d = s.border(rng.uniform(0.02, 0.12), rng.uniform(0.02, 0.07))
    body = smoothstep(d, rng.uniform(1.06, 1.16), rng.uniform(0.72, 0.92))
    clouds = s.texture(1.5, 0.2)
    network = gauss(s.texture(0.26), 0.4)
    globules = smoothstep(s.texture(0.2), 1.3, 2.0)
    structure = 1 + rng.uniform(0.1, 0.35) * clouds + 0.22 * network + 0.3 * globules
    s.melanin += body * rng.uniform(0.95, 1.7) * np.clip(structure, 0.4, 2)
    s.blood += body * rng.uniform(0.05, 0.35)
    s.dome(d, rng.uniform(0.0, 0.4))


def pearly(s: Scene) -> None:
    """Pink translucent dome with a rolled pale rim, telangiectasia and strong highlights."""
    rng = s.rng
    d = s.border(rng.uniform(0.015, 0.05))
    body = smoothstep(d, 1.1, 0.85)
    rim = gauss(d - 0.84, 0.09)
    vessels = []
    for _ in range(int(rng.integers(5, 11))):
        heading = rng.uniform(0, 2 * np.pi)
        outward = np.array([np.cos(heading), np.sin(heading)])
        start = (s.field / 2 + s.centre + 0.85 * s.half * outward) * s.per_mm
        step = s.half * s.per_mm * rng.uniform(0.05, 0.1)
        track = walk(rng, start, heading + np.pi, step, 0.35)
        vessels.append((track, s.per_mm * rng.uniform(0.06, 0.13)))
    s.blood += body * rng.uniform(0.3, 0.6) * (1 + 0.25 * s.texture(1.2, 0.2)) - 0.15 * rim
    s.blood += 1.0 * strokes(s.size, vessels) * body
    s.melanin *= 1 - 0.3 * body
    s.scale += 0.1 * rim
    s.dome(d, rng.uniform(0.7, 1.2), 3.0)
    s.height -= np.float32(rng.uniform(0.0, 0.35)) * gauss(d, 0.25)
    s.gloss += 1.8 * body


def keratotic(s: Scene) -> None:
    """Rough, stuck-on plaque with yellow-grey scale, brown crust and a red margin."""
    rng = s.rng
    d = s.border(rng.uniform(0.03, 0.09), 0.05)
    body = smoothstep(d, 1.08, 0.92)
    warts = s.texture(0.5, 0.3)
    patches = s.texture(0.9, 0.15)
    flakes = smoothstep(patches + 0.5 * warts, -1.3, 0.9)
    crusts = smoothstep(s.texture(1.1, 0.2) - 0.4 * patches, 0.3, 1.5)
    fissures = gauss(s.texture(0.42), 0.09) * smoothstep(warts, 0.6, -0.6)
    s.height += body * np.clip(0.4 + 0.16 * warts + 0.08 * s.texture(0.2) - 0.2 * fissures, 0, None)
    s.melanin += body * (rng.uniform(0.2, 0.7) + 0.3 * fissures)
    s.blood += body * rng.uniform(0.25, 0.55) + rng.uniform(0.1, 0.4) * gauss(d - 1.05, 0.14)
    s.scale += body * flakes * rng.uniform(0.5, 0.85)
    s.crust += body * crusts * rng.uniform(0.35, 0.8)
    s.gloss -= 0.8 * body


def violaceous(s: Scene) -> None:
    """Dark red to violet and blue-black, smooth and raised."""
    rng = s.rng
    d = s.border(rng.uniform(0.02, 0.06), 0.02)
    body = smoothstep(d, 1.12, 0.82)
    lacunae = smoothstep(s.texture(0.75, 0.3), -0.8, 0.9)
    blue = rng.uniform(0.0, 1.0)
    s.deep += body * (0.45 + 1.0 * blue) * (0.8 + 0.35 * lacunae)
    s.blood += body * (1.5 - 1.1 * blue) * (0.8 + 0.4 * lacunae)
    s.dome(d, rng.uniform(0.4, 1.0), 2.5)
    s.gloss += 0.6 * body


def skin_coloured(s: Scene) -> None:
    """Broad dome under normal skin, sometimes with a punctum."""
    rng = s.rng
    d = s.border(rng.uniform(0.01, 0.03))
    s.height += np.float32(rng.uniform(1.2, 1.8)) * gauss(d, 0.5)
    s.blood += 0.12 * gauss(d, 0.6)
    if rng.uniform() < 0.5:
        s.crust += 0.9 * gauss(s.radius, rng.uniform(0.12, 0.2))
    s.gloss += 0.3 * smoothstep(d, 1.0, 0.5)


SURFACE_PAINTERS: dict[str, Callable[[Scene], None]] = {
    "pigmented": pigmented,
    "pearly": pearly,
    "keratotic": keratotic,
    "violaceous": violaceous,
    "skin_coloured": skin_coloured,
}
"""Functions that draw each of `entities.SURFACES`."""


def healthy(s: Scene, melanin: float, blood: float, nuisance: float) -> None:
    """Skin around the lesion: mottled colour, freckles, and the fine lines of its relief."""
    rng = s.rng
    s.melanin += np.float32(melanin) * (1 + 0.05 * s.texture(3.0, 0.2)) + 0.02
    flush = 1 + nuisance * (rng.uniform(-0.4, 1.0) + 0.35 * s.texture(2.2, 0.1))
    s.blood += np.float32(blood) * flush
    s.melanin += smoothstep(s.texture(0.5), 2.1, 2.8) * nuisance * rng.uniform(0, 0.5)
    lines = -np.abs(s.texture(0.33)) - 0.6 * np.abs(s.texture(0.16))
    s.height += np.float32(0.022) * lines
    s.blood += np.float32(0.03) * lines


def hairs(s: Scene, count: int) -> Image:
    """Coverage (H, W) by curved terminal hairs with one main direction."""
    rng = s.rng
    main = rng.uniform(0, 2 * np.pi)
    t = np.linspace(0, 1, 12)[:, None]
    paths = []
    for _ in range(count):
        root = rng.uniform(-0.1, 1.1, 2) * s.size
        heading = main + rng.normal(0, 0.35)
        length = s.per_mm * rng.uniform(4, 11)
        along = np.array([np.cos(heading), np.sin(heading)])
        across = np.array([-along[1], along[0]])
        points = root + length * (t * along + t**2 * rng.normal(0, 0.18) * across)
        paths.append((points, s.per_mm * rng.uniform(0.06, 0.11)))
    return strokes(s.size, paths)


def ruler_ticks(s: Scene, depth: int) -> Image:
    """Reflectance (depth, W) of a strip of a white paper ruler with millimetre ticks."""
    strip = np.full((depth, s.size), 0.82, dtype=np.float32)
    strip += np.float32(0.02) * profile(s.rng, s.across[0], 3.0)
    start = s.rng.uniform(0, 1)
    for tick in range(int(s.field) + 1):
        column = int((tick + start) * s.per_mm)
        reach = depth // 2 if tick % 5 == 0 else depth // 4
        strip[depth - reach :, column : column + max(1, round(0.13 * s.per_mm))] = 0.06
    return strip
