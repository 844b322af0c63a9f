"""Clinical photographs of a known skin: from pigments and relief to a camera's JPEG.

Skin colour is linear in pigment density in logarithmic RGB (Tsumura et al., ACM Transactions on
Graphics 22(3), 2003): with melanin M, haemoglobin H and deep (Tyndall) pigment D,

    reflectance = base * exp(-(M melanin + H haemoglobin + D deep)),    one value per R, G, B.

Relief gives shading and highlights; then hair, the camera's exposure, white balance, defocus and
noise. Lengths in mm. The absorbances are effective values of a camera, chosen by eye.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw
from scipy import ndimage

from agfnet.phantom.geometry import Image, noise, outline, smoothstep

BASE = np.array([0.92, 0.74, 0.62], dtype=np.float32)
"""Linear RGB reflectance of skin without pigment."""
MELANIN = np.array([0.95, 1.22, 1.42], dtype=np.float32)
HAEMOGLOBIN = np.array([0.22, 1.0, 0.85], dtype=np.float32)
DEEP = np.array([1.55, 1.15, 0.62], dtype=np.float32)
"""Absorbances of a pigment density of 1."""
RESTING_BLOOD = 0.16
ITA_CLASSES = {
    "very_light": (55.0, 68.0),
    "light": (41.0, 55.0),
    "intermediate": (28.0, 41.0),
    "tan": (10.0, 28.0),
    "brown": (-30.0, 10.0),
    "dark": (-58.0, -30.0),
}
"""Skin colour classes by individual typology angle, degrees (Chardon et al. 1991)."""


def to_srgb(linear: Image) -> Image:
    """Gamma-encode linear RGB in [0, 1]."""
    low = linear * 12.92
    high = 1.055 * np.maximum(linear, 1e-6) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, low, high).astype(np.float32)


def typology_angle(linear: Image) -> Image:
    """Individual typology angle atan((L* - 50) / b*), degrees, of linear RGB (..., 3), D65."""
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = linear @ to_xyz.T / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    lightness, b = 116 * f[..., 1] - 16, 200 * (f[..., 1] - f[..., 2])
    return np.asarray(np.rad2deg(np.arctan2(lightness - 50, b)), dtype=np.float32)


def melanin_for(ita: float) -> float:
    """Melanin density of healthy skin with this typology angle (inverse by table)."""
    density = np.linspace(0, 4, 401, dtype=np.float32)
    skin = BASE * np.exp(-density[:, None] * MELANIN - RESTING_BLOOD * HAEMOGLOBIN)
    angle = typology_angle(skin)
    return float(np.interp(-ita, -angle, density))


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A camera and its light."""

    field: float = 20.0  # side of the square image, mm
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)  # white-balance gains
    exposure: float = 1.0
    defocus: float = 0.05  # sd, mm
    noise: float = 0.006  # sd at white, linear scale


@dataclass(frozen=True, eq=False)
class Photo:
    """A photograph (H, W, 3), and where the lesion lies in it (H, W) in [0, 1]."""

    image: NDArray[np.uint8]
    lesion: Image


class _Scene:
    """Pigments and relief (H, W) that the parts of the scene add to."""

    def __init__(self, *, size: int, field: float, width: float, rng: np.random.Generator) -> None:
        self.rng, self.size, self.mm = rng, size, size / field
        turn, shift = rng.uniform(0, 2 * np.pi), rng.uniform(-0.07, 0.07, 2) * field
        axis = ((np.arange(size, dtype=np.float32) + 0.5) / size - 0.5) * np.float32(field)
        dx, dy = axis[None, :] - np.float32(shift[0]), axis[:, None] - np.float32(shift[1])
        stretch = rng.uniform(0.8, 1.0)
        self.x = np.float32(np.cos(turn)) * dx + np.float32(np.sin(turn)) * dy
        self.y = (np.float32(np.cos(turn)) * dy - np.float32(np.sin(turn)) * dx) / stretch
        self.radius = np.hypot(self.x, self.y)
        self.angle = np.arctan2(self.y, self.x)
        self.half = width / 2
        shape = (size, size)
        self.melanin = np.zeros(shape, dtype=np.float32)
        self.blood = np.zeros(shape, dtype=np.float32)
        self.deep = np.zeros(shape, dtype=np.float32)
        self.height = np.zeros(shape, dtype=np.float32)  # mm
        self.gloss = np.ones(shape, dtype=np.float32)
        self.scale = np.zeros(shape, dtype=np.float32)  # opaque keratin, [0, 1]
        self.crust = np.zeros(shape, dtype=np.float32)  # opaque crust, [0, 1]
        self.lesion = np.zeros(shape, dtype=np.float32)

    def texture(self, length: float, finest: float = 0.0) -> Image:
        """Random field with a correlation length in mm."""
        return noise(self.rng, (self.size, self.size), max(length * self.mm, 0.6), finest=finest)

    def distance(self, irregularity: float, ragged: float = 0.0) -> Image:
        """1 on the border of the lesion, 0 at its centre."""
        d = self.radius / (self.half * outline(self.rng, self.angle, irregularity))
        return d + np.float32(ragged) * self.texture(0.9, 0.15) if ragged else d

    def dome(self, d: Image, height: float, power: float = 2.0) -> None:
        """Raise the lesion as a smooth dome."""
        self.height += np.float32(height) * np.clip(1 - np.maximum(d, 0) ** power, 0, 1) ** 0.8


def _pigmented(s: _Scene) -> None:
    """Brown macule or papule: irregular border, variegated, network and globules."""
    rng = s.rng
    d = s.distance(rng.uniform(0.04, 0.13), rng.uniform(0.03, 0.08))
    s.lesion = smoothstep(d, 1.04 + 0.08, 0.9)
    body = smoothstep(d, 1.12, rng.uniform(0.7, 0.9))
    clouds = s.texture(1.6, 0.2)
    network = np.exp(-((s.texture(0.28) / 0.5) ** 2))
    globules = smoothstep(s.texture(0.22), 1.3, 2.0)
    tone = rng.uniform(1.25, 1.9)
    s.melanin += body * tone * np.clip(1 + 0.22 * clouds + 0.25 * network + 0.3 * globules, 0.4, 2)
    s.blood += body * rng.uniform(0.05, 0.3)
    s.dome(d, rng.uniform(0.0, 0.35))


def _pearly(s: _Scene) -> None:
    """Pink, translucent, shining dome with a rolled edge and telangiectasia."""
    rng = s.rng
    d = s.distance(rng.uniform(0.02, 0.07))
    s.lesion = smoothstep(d, 1.05, 0.95)
    body = smoothstep(d, 1.1, 0.85)
    s.blood += body * rng.uniform(0.45, 0.75) * (1 + 0.2 * s.texture(1.2, 0.2))
    rim = np.exp(-(((d - 0.82) / 0.14) ** 2))
    s.blood -= 0.22 * rim
    s.scale += 0.16 * rim
    vessels = _vessels(s, count=int(rng.integers(5, 10)))
    s.blood += 1.1 * vessels * body
    s.dome(d, rng.uniform(0.8, 1.3), 3.0)
    s.height -= np.float32(rng.uniform(0.0, 0.35)) * np.exp(-((d / 0.35) ** 2))
    s.gloss += 2.2 * body


def _keratotic(s: _Scene) -> None:
    """Rough, stuck-on plaque under yellow-grey scale and brown crust."""
    rng = s.rng
    d = s.distance(rng.uniform(0.04, 0.1), 0.05)
    s.lesion = smoothstep(d, 1.06, 0.94)
    body = smoothstep(d, 1.08, 0.92)
    warts = s.texture(0.55, 0.3)
    s.height += body * np.clip(0.45 + 0.22 * warts + 0.1 * s.texture(0.22), 0, None)
    flakes = smoothstep(s.texture(0.8, 0.2) + 0.4 * warts, -0.5, 0.5)
    crusts = smoothstep(s.texture(1.3, 0.25), 0.5, 1.1)
    s.melanin += body * rng.uniform(0.15, 0.6)
    s.blood += body * rng.uniform(0.25, 0.5) + 0.25 * np.exp(-(((d - 1.05) / 0.2) ** 2))
    s.scale += body * flakes * rng.uniform(0.65, 0.85)
    s.crust += body * crusts * rng.uniform(0.5, 0.9)
    s.gloss -= 0.85 * body


def _violaceous(s: _Scene) -> None:
    """Red-violet to blue-black, smooth, raised."""
    rng = s.rng
    d = s.distance(rng.uniform(0.02, 0.07), 0.02)
    s.lesion = smoothstep(d, 1.06, 0.94)
    body = smoothstep(d, 1.12, 0.82)
    lacunae = smoothstep(s.texture(0.75, 0.3), -0.8, 0.9)
    blue = rng.uniform(0.0, 1.0)
    s.deep += body * (0.75 + 0.75 * blue) * (0.8 + 0.35 * lacunae)
    s.blood += body * (1.15 - 0.75 * blue) * (0.8 + 0.4 * lacunae)
    s.dome(d, rng.uniform(0.5, 1.0), 2.5)
    s.gloss += 0.8 * body


def _skin_coloured(s: _Scene) -> None:
    """Broad dome under healthy skin, at times with a punctum."""
    rng = s.rng
    d = s.distance(rng.uniform(0.01, 0.03))
    s.lesion = smoothstep(d, 1.06, 0.94)
    s.height += np.float32(rng.uniform(1.2, 1.8)) * np.exp(-0.5 * (d / 0.5) ** 2)
    s.blood += 0.12 * np.exp(-0.5 * (d / 0.6) ** 2)
    if rng.uniform() < 0.5:
        hole = np.exp(-0.5 * (s.radius / rng.uniform(0.12, 0.22)) ** 2)
        s.crust += 0.9 * hole
    s.gloss += 0.3 * smoothstep(d, 1.0, 0.5)


_SURFACES = {
    "pigmented": _pigmented,
    "pearly": _pearly,
    "keratotic": _keratotic,
    "violaceous": _violaceous,
    "skin_coloured": _skin_coloured,
}


def _strokes(
    size: int, paths: list[tuple[NDArray[np.float64], float]], oversample: int = 3
) -> Image:
    """Coverage (H, W) in [0, 1] of polylines (points (n, 2) in pixels, width in pixels)."""
    canvas = Pillow.new("L", (size * oversample, size * oversample))
    draw = ImageDraw.Draw(canvas)
    for points, width in paths:
        line = [tuple(p) for p in (points * oversample).tolist()]
        pixels = width * oversample
        value = 255 if pixels >= 1 else int(255 * pixels)
        draw.line(line, fill=value, width=max(1, round(pixels)), joint="curve")
    small = canvas.resize((size, size), Pillow.Resampling.BOX)
    return np.asarray(small, dtype=np.float32) / np.float32(255)


def _vessels(s: _Scene, count: int) -> Image:
    """Branching telangiectasia (H, W): random walks that start near the rim."""
    rng, paths = s.rng, []
    middle = np.array(np.unravel_index(np.argmin(s.radius), s.radius.shape), dtype=float)[::-1]
    for _ in range(count):
        heading = rng.uniform(0, 2 * np.pi)
        start = middle + 0.75 * s.half * s.mm * np.array([np.cos(heading), np.sin(heading)])
        turns = heading + np.pi + np.cumsum(rng.normal(0, 0.35, 14))
        step = s.half * s.mm * 0.09
        points = start + np.cumsum(step * np.stack([np.cos(turns), np.sin(turns)], 1), axis=0)
        paths.append((points, s.mm * rng.uniform(0.07, 0.14)))
    return _strokes(s.size, paths)


def _hairs(s: _Scene, count: int) -> Image:
    """Coverage (H, W) of curved terminal hairs with one main direction."""
    rng, paths = s.rng, []
    main = rng.uniform(0, 2 * np.pi)
    t = np.linspace(0, 1, 12)[:, None]
    for _ in range(count):
        root = rng.uniform(-0.1, 1.1, 2) * s.size
        heading = main + rng.normal(0, 0.35)
        length = s.mm * rng.uniform(4, 11)
        along = np.array([np.cos(heading), np.sin(heading)])
        across = np.array([-along[1], along[0]])
        bend = length * rng.normal(0, 0.18)
        points = root + t * length * along + t**2 * bend * across
        paths.append((points, s.mm * rng.uniform(0.06, 0.11)))
    return _strokes(s.size, paths)


def photograph(
    *,
    surface: str,
    width: float,
    melanin: float,
    hairs: float,
    camera: Camera,
    size: int,
    rng: np.random.Generator,
    nuisance: float,
    ruler: bool = False,
) -> Photo:
    """Photograph of a lesion.

    Args:
        surface: Surface phenotype, one of `lesions.SURFACES`.
        width: Width of the lesion, mm.
        melanin: Melanin density of the healthy skin, see `melanin_for`.
        hairs: Terminal hairs per cm2.
        camera: What photographs it.
        size: Side of the image, pixels.
        rng: Source of chance.
        nuisance: 0 to 1, strength of light, mottling, freckles and hair.
        ruler: Lay a paper ruler along the edge.
    """
    s = _Scene(size=size, field=camera.field, width=width, rng=rng)
    _healthy(s, melanin, nuisance)
    _SURFACES[surface](s)
    reflectance = _reflectance(s)
    light = _lighting(s, nuisance)
    linear = reflectance * light[0][..., None] + light[1][..., None]
    count = rng.poisson(hairs * nuisance * (camera.field / 10) ** 2)
    if count:
        cover = _hairs(s, count)[..., None]
        shadow = ndimage.shift(cover[..., 0], (0.12 * s.mm, 0.08 * s.mm), order=1)[..., None]
        colour = np.array([0.05, 0.03, 0.02], dtype=np.float32) * rng.uniform(0.4, 2.5)
        linear = linear * (1 - 0.25 * shadow * (1 - cover))
        linear = linear + 0.9 * cover * (colour - linear)
    if ruler:
        linear = _lay_ruler(s, linear, light[0])
    return Photo(image=_expose(s, linear, camera), lesion=s.lesion)


def _healthy(s: _Scene, melanin: float, nuisance: float) -> None:
    """Colour and relief of the skin around the lesion."""
    rng = s.rng
    mottle = s.texture(3.0, 0.2)
    s.melanin += melanin * (1 + 0.05 * mottle) + 0.02
    s.blood += RESTING_BLOOD * (
        1 + nuisance * (rng.uniform(-0.4, 1.0) + 0.35 * s.texture(2.2, 0.1))
    )
    freckles = smoothstep(s.texture(0.55), 2.1, 2.8)
    s.melanin += freckles * nuisance * rng.uniform(0, 0.5)
    creases = -np.abs(s.texture(0.33)) - 0.6 * np.abs(s.texture(0.16))
    s.height += np.float32(0.024) * creases
    s.blood += 0.035 * creases


def _reflectance(s: _Scene) -> Image:
    """Linear RGB (H, W, 3) of pigments, scale and crust."""
    density = (
        np.maximum(s.melanin, 0)[..., None] * MELANIN
        + np.maximum(s.blood, 0)[..., None] * HAEMOGLOBIN
        + s.deep[..., None] * DEEP
    )
    skin = BASE * np.exp(-density)
    keratin = np.array([0.66, 0.54, 0.36], dtype=np.float32)
    crust = np.array([0.16, 0.075, 0.03], dtype=np.float32)
    skin = skin + np.clip(s.scale, 0, 1)[..., None] * (keratin - skin)
    return np.asarray(skin + np.clip(s.crust, 0, 1)[..., None] * (crust - skin))


def _lighting(s: _Scene, nuisance: float) -> tuple[Image, Image]:
    """Diffuse shading and specular light (H, W), from relief and a lamp at one side."""
    rng = s.rng
    heading, tilt = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(25, 48))
    lamp = np.array([np.cos(heading) * np.sin(tilt), np.sin(heading) * np.sin(tilt), np.cos(tilt)])
    gy, gx = np.gradient(s.height * np.float32(s.mm))
    norm = 1 / np.sqrt(1 + gx * gx + gy * gy)
    facing = (-gx * lamp[0] - gy * lamp[1] + lamp[2]) * norm
    diffuse = 0.35 + 0.65 * np.clip(facing / lamp[2], 0, 1.6)
    half = lamp + np.array([0, 0, 1])
    half /= np.linalg.norm(half)
    mirror = np.clip((-gx * half[0] - gy * half[1] + half[2]) * norm, 0, 1)
    specular = 0.055 * s.gloss * (mirror**24) + 0.22 * np.maximum(s.gloss - 0.6, 0) * mirror**160
    fall = 1 - nuisance * rng.uniform(0.05, 0.3) * (
        s.x * np.cos(heading) + s.y * np.sin(heading)
    ) / (0.5 * s.size / s.mm)
    vignette = 1 - 0.18 * nuisance * (s.radius * s.mm / (0.5 * s.size)) ** 2
    shade = np.clip(fall, 0.4, 1.4) * np.clip(vignette, 0.4, 1)
    return (diffuse * shade).astype(np.float32), (specular * shade).astype(np.float32)


def _lay_ruler(s: _Scene, linear: Image, light: Image) -> Image:
    """A white paper ruler with millimetre ticks along a random edge."""
    n = s.size
    depth = max(6, round(0.11 * n))
    turns = int(s.rng.integers(4))
    start = s.rng.uniform(0, 1)
    image = np.rot90(linear, turns).copy()
    strip = np.full((depth, n), 0.82, dtype=np.float32)
    for tick in range(int(n / s.mm) + 1):
        column = int((tick + start) * s.mm)
        reach = depth // 2 if tick % 5 == 0 else depth // 4
        strip[depth - reach :, column : column + max(1, round(0.13 * s.mm))] = 0.06
    image[:depth] = strip[..., None] * np.clip(np.rot90(light, turns)[:depth, :, None], 0, 1.1)
    return np.rot90(image, -turns)


def _expose(s: _Scene, linear: Image, camera: Camera) -> NDArray[np.uint8]:
    """What the camera makes of it: defocus, white balance, noise, gamma."""
    blur = camera.defocus * s.mm
    if blur > 0.25:
        linear = ndimage.gaussian_filter(linear, (blur, blur, 0), truncate=3)
    linear = linear * (camera.exposure * np.array(camera.balance, dtype=np.float32))
    grain = s.rng.standard_normal(linear.shape, dtype=np.float32)
    linear = linear + camera.noise * grain * np.sqrt(np.clip(linear, 0.02, 1))
    return np.rint(255 * np.clip(to_srgb(np.clip(linear, 0, 1)), 0, 1)).astype(np.uint8)
