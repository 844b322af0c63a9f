"""The five depth phenotypes: tissue that replaces healthy skin in the ultrasound.

Lengths in mm, echo levels in dB relative to healthy dermis, attenuation in dB/cm/MHz.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from agfnet.phantom.geometry import Image, gauss, noise, profile, smoothstep


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """Coordinates of one section (Z, X), and the layers in which a lesion lies."""

    u: Image  # (Z, X) depth below the skin surface
    x: Image  # (X,) from the lesion's centre
    dz: float
    dx: float
    half: float  # half width of the lesion in this section
    epidermis: float  # thickness
    dermis: float  # mean depth of its lower border

    def texture(self, rng: np.random.Generator, lz: float, lx: float, finest: float = 0.2) -> Image:
        """Draw a random field (Z, X) with correlation lengths lz in depth and lx across."""
        return noise(rng, self.u.shape, (lz / self.dz, lx / self.dx), finest=finest)

    def ellipse(self, centre: float, height: float, wobble: Image) -> Image:
        """Return the distance (Z, X) from the centre of an ellipse, 1 on its border."""
        across = self.x / np.float32(self.half)
        down = (self.u - np.float32(centre)) / np.float32(height)
        distance: Image = np.sqrt(across * across + down * down) + wobble
        return distance


@dataclass(frozen=True, kw_only=True, eq=False)
class Lesion:
    """A lesion in one section."""

    mask: Image  # (Z, X) in [0, 1]
    scatter: Image  # (Z, X) echo level of the lesion
    attenuation: float
    deposits: Image | None = None  # (Z, X) in [0, 1], cover by strong reflectors
    deposit_attenuation: float = 0.0
    edge_attenuation: float = 0.0  # in place of the refraction at its sides


def band(rng: np.random.Generator, f: Frame) -> Lesion:
    """Thin, fusiform and homogeneous, in the upper dermis, with a smooth lower border."""
    thick = min(rng.uniform(0.65, 1.0), 0.75 * f.dermis)
    arch = np.sqrt(np.clip(1 - np.abs(f.x / np.float32(f.half)) ** 2.2, 0, 1))
    lower = f.epidermis + np.float32(thick) * (arch + 0.05 * profile(rng, f.x, 1.0))
    mask = smoothstep(lower - f.u, -0.04, 0.06) * (np.abs(f.x) < f.half)
    return Lesion(mask=mask, scatter=-21.0 + 1.5 * f.texture(rng, 0.3, 0.5), attenuation=0.8)


def cystic(rng: np.random.Generator, f: Frame) -> Lesion:
    """Round, nearly anechoic and sharp, with enhancement behind and shadows at its edges."""
    height = float(np.clip(f.half * rng.uniform(0.62, 0.8), 0.9, 1.9))
    centre = f.epidermis + height + rng.uniform(0.15, 0.5)
    mask = smoothstep(f.ellipse(centre, height, 0.03 * f.texture(rng, 1.0, 1.5)), 1.03, 0.97)
    debris = 3.0 * f.texture(rng, 0.3, 0.5)
    return Lesion(mask=mask, scatter=-43.0 + debris, attenuation=0.1, edge_attenuation=1.5)


def infiltrating(rng: np.random.Generator, f: Frame) -> Lesion:
    """Deep, irregular, ill-defined and heterogeneous, with strands below and bright spots."""
    deep = max(f.dermis * rng.uniform(1.1, 1.5), 2.2)
    fingers = 0.22 * profile(rng, f.x, 0.5) + 0.2 * profile(rng, f.x, 1.2)
    arch = np.clip(1 - np.abs(f.x / np.float32(f.half)) ** 2.5, 0, 1) ** 0.6
    ragged = 0.28 * f.texture(rng, 0.35, 0.45)
    lower = f.epidermis + np.float32(deep) * arch * np.clip(1 + fingers, 0.3, 1.5)
    mask = smoothstep(lower - f.u + ragged, -0.12, 0.2)
    mask = mask * smoothstep(np.abs(f.x) + ragged, 1.08 * f.half, 0.95 * f.half)
    spots = 0.55 * smoothstep(f.texture(rng, 0.12, 0.16), 2.3, 2.9) * mask
    inside = -25.0 + 4.0 * f.texture(rng, 0.4, 0.5)
    return Lesion(
        mask=mask, scatter=inside, attenuation=1.1, deposits=spots, deposit_attenuation=1.0
    )


def shadowing(rng: np.random.Generator, f: Frame) -> Lesion:
    """Nodule with a hypoechoic rim and reflectors (keratin, calcium) that cast a shadow."""
    height = rng.uniform(0.65, 0.95)
    centre = f.epidermis + height * rng.uniform(0.9, 1.2)
    radius = f.ellipse(centre, height, 0.06 * f.texture(rng, 0.6, 0.8))
    mask = smoothstep(radius, 1.06, 0.94)
    rim = smoothstep(radius, 0.5, 0.85)
    level = centre - height * rng.uniform(0.1, 0.9)
    lid = level + 0.35 * height * (f.x / np.float32(f.half)) ** 2 + 0.08 * profile(rng, f.x, 0.4)
    clumps = smoothstep(f.texture(rng, 0.5, 0.35), -1.1, -0.3)
    reach = smoothstep(np.abs(f.x), 0.92 * f.half, 0.75 * f.half)
    deposits = gauss(f.u - lid, 0.09) * clumps * reach * (f.u > 0.3 * f.epidermis)
    inside = -9.0 - 15.0 * rim + 3.0 * f.texture(rng, 0.3, 0.4)
    return Lesion(
        mask=mask, scatter=inside, attenuation=1.2, deposits=deposits, deposit_attenuation=20.0
    )


def lobular(rng: np.random.Generator, f: Frame) -> Lesion:
    """Oval in the subcutis, along the skin, striated, with a thin capsule."""
    height = rng.uniform(0.75, 1.2)
    centre = f.dermis + height + rng.uniform(0.2, 0.6)
    radius = f.ellipse(centre, height, 0.04 * f.texture(rng, 0.8, 1.2))
    striae = gauss(f.texture(rng, 0.16, 2.5, 0.0), 0.2)
    inside = -20.0 + 16.0 * striae + 10.0 * gauss(radius - 0.97, 0.04)
    return Lesion(mask=smoothstep(radius, 1.04, 0.96), scatter=inside, attenuation=0.9)


DEPTH_PAINTERS: dict[str, Callable[[np.random.Generator, Frame], Lesion]] = {
    "band": band,
    "cystic": cystic,
    "infiltrating": infiltrating,
    "shadowing": shadowing,
    "lobular": lobular,
}
"""Functions that draw each of `entities.DEPTHS`."""
