"""Clinical photographs of known skin: from pigments and relief to the pixels of a camera.

Skin colour is linear in pigment density in logarithmic RGB (Tsumura et al., ACM Transactions on
Graphics 22(3), 2003): with melanin M, haemoglobin H and deep pigment D (seen blue, Tyndall),

    reflectance = base * exp(-(M melanin + H haemoglobin + D deep)),    one value per R, G, B.

Relief gives shading, occlusion and highlights; then come hair, light, defocus, white balance and
noise. Lengths in mm. The absorbances are effective values of a camera, chosen by eye.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from agfnet.phantom.geometry import Image, Pixels
from agfnet.phantom.surface import SURFACE_PAINTERS, Scene, hairs, healthy, ruler_ticks


def _rgb(red: float, green: float, blue: float) -> Image:
    return np.array([red, green, blue], dtype=np.float32)


BASE = _rgb(0.92, 0.74, 0.62)
"""Linear RGB reflectance of skin without pigment."""
MELANIN, HAEMOGLOBIN, DEEP = _rgb(0.95, 1.22, 1.42), _rgb(0.22, 1.0, 0.85), _rgb(1.55, 1.15, 0.62)
"""Absorbances at a density of 1."""
KERATIN, CRUST, HAIR = _rgb(0.62, 0.49, 0.35), _rgb(0.17, 0.08, 0.035), _rgb(0.05, 0.03, 0.02)
"""Linear RGB reflectances of what covers skin."""
RESTING_BLOOD = 0.16
"""Haemoglobin density of healthy skin."""
ITA_CLASSES = {
    "very_light": (55.0, 68.0),
    "light": (41.0, 55.0),
    "intermediate": (28.0, 41.0),
    "tan": (10.0, 28.0),
    "brown": (-30.0, 10.0),
    "dark": (-65.0, -30.0),
}
"""Classes of skin colour by individual typology angle, degrees, limited at both ends
(Chardon et al., International Journal of Cosmetic Science 13, 1991)."""


def to_srgb(linear: Image) -> Image:
    """Gamma-encode linear RGB in [0, 1]."""
    high = 1.055 * np.maximum(linear, 1e-6) ** (1 / 2.4) - 0.055
    encoded: Image = np.where(linear <= 0.0031308, linear * 12.92, high)
    return encoded


def typology_angle(linear: Image) -> Image:
    """Return the individual typology angle of linear sRGB (..., 3), D65.

    It is atan((L* - 50) / b*), in degrees.
    """
    to_yz = np.array([[0.2126, 0.7152, 0.0722], [0.0177, 0.1095, 0.8728]])  # over the white point
    yz = linear @ to_yz.T
    f = np.where(yz > 0.008856, np.cbrt(yz), 7.787 * yz + 16 / 116)
    angle: Image = np.rad2deg(np.arctan2(116 * f[..., 0] - 66, 200 * (f[..., 0] - f[..., 1])))
    return angle


def healthy_colour(melanin: Image) -> Image:
    """Return the linear RGB (..., 3) of healthy skin of a melanin density (...)."""
    density = np.asarray(melanin)[..., None] * MELANIN + RESTING_BLOOD * HAEMOGLOBIN
    colour: Image = BASE * np.exp(-density)
    return colour


_DENSITIES = np.linspace(0, 4, 401)
_ANGLES = typology_angle(healthy_colour(_DENSITIES))


def melanin_for(ita: float) -> float:
    """Return the melanin density of healthy skin with a typology angle, degrees."""
    return float(np.interp(-ita, -_ANGLES, _DENSITIES))


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A camera and its settings."""

    field: float = 17.0  # side of the square image, mm
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)  # gains of R, G, B
    exposure: float = 1.0
    defocus: float = 0.05  # sd of the blur, mm
    noise: float = 0.006  # sd at white, on a linear scale


@dataclass(frozen=True, eq=False)
class Photo:
    """A photograph (H, W, 3), and the mask of its lesion (H, W), in [0, 1]."""

    image: Pixels
    lesion: Image


def photograph(
    *,
    surface: str,
    width: float,
    ita: float,
    hair_density: float,
    camera: Camera,
    size: int,
    rng: np.random.Generator,
    nuisance: float,
    ruler: bool = False,
) -> Photo:
    """Photograph a lesion.

    Args:
        surface: Surface phenotype, one of `entities.SURFACES`.
        width: Width of the lesion, mm.
        ita: Typology angle of the healthy skin, degrees.
        hair_density: Terminal hairs per cm2.
        camera: The camera.
        size: Side of the image, pixels.
        rng: Random number generator.
        nuisance: 0 to 1, strength of flush, freckles, hair and uneven light.
        ruler: Lay a paper ruler along one edge.
    """
    scene = Scene(size=size, field=camera.field, width=width, rng=rng)
    healthy(scene, melanin_for(ita), RESTING_BLOOD, nuisance)
    SURFACE_PAINTERS[surface](scene)
    diffuse, specular = _light(scene, nuisance)
    linear: Image = _reflectance(scene) * diffuse[..., None] + specular[..., None]
    linear = _grow_hair(scene, linear, rng.poisson(hair_density * nuisance * camera.field**2 / 100))
    if ruler:
        linear = _lay_ruler(scene, linear, diffuse)
    return Photo(image=_expose(scene, linear, camera), lesion=scene.lesion)


def _reflectance(s: Scene) -> Image:
    """Return the linear RGB (H, W, 3) of pigments, scale and crust."""
    density = (
        np.maximum(s.melanin, 0)[..., None] * MELANIN
        + np.maximum(s.blood, 0)[..., None] * HAEMOGLOBIN
        + s.deep[..., None] * DEEP
    )
    skin: Image = BASE * np.exp(-density)
    skin += np.clip(s.scale, 0, 1)[..., None] * (KERATIN - skin)
    skin += np.clip(s.crust, 0, 1)[..., None] * (CRUST - skin)
    return skin


def _light(s: Scene, nuisance: float) -> tuple[Image, Image]:
    """Return diffuse and specular light (H, W) of a lamp at one side (Lambert, Blinn-Phong)."""
    rng = s.rng
    heading, tilt = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(25, 48))
    towards = np.array([np.cos(heading), np.sin(heading)], dtype=np.float32)
    flat, lift = towards * np.float32(np.sin(tilt)), np.float32(np.cos(tilt))
    gy, gx = np.gradient(s.height * np.float32(s.per_mm))
    norm = 1 / np.sqrt(1 + gx * gx + gy * gy)
    facing = (lift - gx * flat[0] - gy * flat[1]) * norm
    halfway = np.float32(np.sqrt(2 + 2 * lift))
    mirror = np.clip((1 + lift - gx * flat[0] - gy * flat[1]) * norm / halfway, 0, 1)

    sunk = ndimage.gaussian_filter(s.height, 0.7 * s.per_mm, truncate=2.5) - s.height
    occlusion = 1 / (1 + 1.1 * np.clip(sunk, 0, None))
    along = (s.across * towards[0] + s.down * towards[1]) / np.float32(0.5 * s.field)
    corner = (s.across**2 + s.down**2) / np.float32(0.25 * s.field**2)
    lamp: Image = 1 + nuisance * (rng.uniform(0.05, 0.3) * along - 0.18 * corner)
    lamp = np.clip(lamp, 0.3, 1.4)
    diffuse: Image = lamp * occlusion * (0.35 + 0.65 * np.clip(facing / lift, 0, 1.6))
    sheen, spark = mirror**24, mirror**160
    specular = lamp * (
        0.055 * np.minimum(s.gloss, 1.3) * sheen + 0.25 * np.maximum(s.gloss - 0.6, 0) * spark
    )
    return diffuse, specular


def _grow_hair(s: Scene, linear: Image, count: int) -> Image:
    """Draw terminal hairs and their shadows over the skin."""
    if count == 0:
        return linear
    cover = hairs(s, count)
    shade = np.roll(cover, (round(0.12 * s.per_mm), round(0.08 * s.per_mm)), axis=(0, 1))
    linear = linear * (1 - 0.25 * shade * (1 - cover))[..., None]
    colour = HAIR * np.float32(s.rng.uniform(0.4, 2.5))
    return linear + 0.9 * cover[..., None] * (colour - linear)


def _lay_ruler(s: Scene, linear: Image, diffuse: Image) -> Image:
    """Cover one edge of the image with a ruler."""
    turns = int(s.rng.integers(4))
    depth = max(6, round(0.11 * s.size))
    image = np.rot90(linear, turns).copy()
    light = np.clip(np.rot90(diffuse, turns)[:depth], 0, 1.1)
    image[:depth] = (ruler_ticks(s, depth) * light)[..., None]
    return np.rot90(image, -turns)


def _expose(s: Scene, linear: Image, camera: Camera) -> Pixels:
    """Convert light to pixels: defocus, white balance, shot noise, gamma."""
    blur = camera.defocus * s.per_mm
    if blur > 0.25:
        linear = ndimage.gaussian_filter(linear, (blur, blur, 0), truncate=3)
    linear = linear * (np.float32(camera.exposure) * _rgb(*camera.balance))
    grain = s.rng.standard_normal(linear.shape, dtype=np.float32)
    linear = linear + np.float32(camera.noise) * grain * np.sqrt(np.clip(linear, 0.02, 1))
    grey = to_srgb(np.clip(linear, 0, 1).astype(np.float32))
    return np.rint(255 * np.clip(grey, 0, 1)).astype(np.uint8)
