"""Layered skin with a lesion in it, as a scanner meets it: the anatomy behind `bmode.py`.

Lengths in mm, echo levels in dB relative to healthy dermis, attenuation in dB/cm/MHz. Levels are
chosen to look like published scans at 15 to 25 MHz; they are not measurements.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agfnet.phantom.bmode import Complex, Grid, Scanner, Tissue, phase_step
from agfnet.phantom.geometry import Image, noise, profile, smoothstep

GEL, EPIDERMIS, FAT, MUSCLE = -75.0, -2.0, -25.0, -15.0
"""Echo levels of the layers around the dermis."""
FIBROUS = 1.0
"""Echo level of septa and fascia."""


@dataclass(frozen=True)
class Site:
    """A body site: mean layer thicknesses, mm, and terminal hairs per cm2."""

    epidermis: float
    dermis: float
    fat: float
    hairs: float


SITES = {
    "face": Site(epidermis=0.08, dermis=1.5, fat=4.0, hairs=1.0),
    "trunk": Site(epidermis=0.09, dermis=2.0, fat=7.0, hairs=2.0),
    "arm": Site(epidermis=0.09, dermis=1.3, fat=5.0, hairs=4.0),
    "leg": Site(epidermis=0.10, dermis=1.5, fat=6.0, hairs=5.0),
    "hand_foot": Site(epidermis=0.30, dermis=1.2, fat=4.0, hairs=0.3),
}


@dataclass(frozen=True, eq=False)
class Section:
    """One cross-section: the tissue, and where the lesion lies in it."""

    tissue: Tissue
    lesion: Image  # (Z, X) in [0, 1]


@dataclass(frozen=True, eq=False)
class _Frame:
    """Coordinates shared by everything that is drawn."""

    grid: Grid
    u: Image  # (Z, X) depth below the skin surface
    x: Image  # (X,) from the lesion's centre
    half: float  # half width of the lesion in this section
    epidermis: float
    dermis: Image  # (X,) depth of the lower border of the dermis
    thickness: float  # its mean

    def texture(self, rng: np.random.Generator, lz: float, lx: float) -> Image:
        """Random field with correlation lengths in mm."""
        lengths = (lz / self.grid.dz, lx / self.grid.dx)
        return noise(rng, self.grid.shape, lengths, finest=0.2)


@dataclass(frozen=True, eq=False)
class _Lesion:
    """What a lesion puts in place of healthy skin."""

    mask: Image  # (Z, X) in [0, 1]
    scatter: Image | float  # dB inside
    attenuation: float
    bright: Image | None = None  # (Z, X) in [0, 1], echogenic deposits
    bright_attenuation: float = 0.0
    refraction: float = 0.0  # extra attenuation below its lateral edges


def section(
    *,
    depth: str,
    width: float,
    site: str,
    grid: Grid,
    scanner: Scanner,
    rng: np.random.Generator,
    nuisance: float,
    offset: float = 0.0,
) -> Section:
    """Cross-section through a lesion.

    Args:
        depth: Depth phenotype, one of `lesions.DEPTHS`.
        width: Width of the lesion, mm.
        site: One of `SITES`.
        grid: Where to describe it.
        scanner: Whose wavelength the interfaces' phases are for.
        rng: Source of chance; a generator in the same state draws the same anatomy.
        nuisance: 0 to 1, strength of tilt, artefacts and anatomical variation.
        offset: Distance of the section from the lesion's centre, as a share of its half width.
    """
    chord = float(np.sqrt(max(1 - offset**2, 0.05)))
    centre = rng.uniform(-0.08, 0.08) * grid.field * (0.5 + nuisance)
    x = grid.x
    surface = _surface(rng, x, nuisance, grid.field)
    bulge = rng.uniform(0.05, 0.45) * chord
    surface = surface - bulge * np.exp(-0.5 * ((x - centre) / (0.5 * width * chord)) ** 2)
    place = SITES[site]
    spread = rng.uniform(-1, 1, 3)
    thickness = place.dermis * (1 + 0.18 * spread[0])
    frame = _Frame(
        grid=grid,
        u=grid.z - surface,
        x=x - centre,
        half=0.5 * width * chord,
        epidermis=place.epidermis * (1 + 0.2 * spread[1]),
        dermis=thickness + 0.1 * profile(rng, x, 1.2) + 0.06 * profile(rng, x, 0.4),
        thickness=thickness,
    )
    scatter, attenuation = _skin(rng, frame, place.fat * (1 + 0.3 * spread[2]), nuisance)
    lesion = _LESIONS[depth](rng, frame)
    below = frame.u > frame.epidermis
    mask = lesion.mask * below
    scatter = scatter + mask * (lesion.scatter - scatter)
    attenuation = attenuation + mask * (lesion.attenuation - attenuation)
    if lesion.bright is not None:
        scatter = scatter + lesion.bright * (11.0 - scatter)
        attenuation = attenuation + lesion.bright * lesion.bright_attenuation
    if lesion.refraction:
        edge = np.exp(-0.5 * ((np.abs(frame.x) - frame.half) / 0.12) ** 2)
        centre_depth = float((frame.u * mask).sum() / (mask.sum() + 1e-6))
        attenuation = attenuation + lesion.refraction * edge * (frame.u > centre_depth)
    interface = _entry_echo(rng, grid, scanner, surface)
    if nuisance:
        scatter, attenuation = _artefacts(rng, frame, scatter, attenuation, nuisance)
    tissue = Tissue(
        scatter=scatter.astype(np.float32),
        attenuation=attenuation.astype(np.float32),
        interface=interface,
    )
    return Section(tissue=tissue, lesion=mask.astype(np.float32))


def _surface(rng: np.random.Generator, x: Image, nuisance: float, field: float) -> Image:
    """Depth of the skin surface below the transducer (X,): gel, tilt, curvature, relief."""
    gel = 1.1 + 0.25 * nuisance * rng.uniform(-1, 1)
    tilt = np.tan(np.deg2rad(4.0 * nuisance * rng.uniform(-1, 1)))
    sag = 0.35 * nuisance * rng.uniform(0, 1) * (2 * x / field) ** 2
    relief = 0.035 * profile(rng, x, 0.7) + 0.012 * profile(rng, x, 0.2)
    return np.asarray(gel + tilt * x + sag + relief, dtype=np.float32)


def _skin(
    rng: np.random.Generator, frame: _Frame, fat: float, nuisance: float
) -> tuple[Image, Image]:
    """Echo level and attenuation (Z, X) of healthy skin."""
    u, soft = frame.u, 0.03
    collagen = 3.0 * frame.texture(rng, 0.25, 0.7)
    depth_in_dermis = u / frame.dermis
    # papillary and reticular dermis differ; sun leaves a low-echogenic band in some
    elastosis = -7.0 * nuisance * rng.uniform(0, 1) * np.exp(-((depth_in_dermis / 0.25) ** 2))
    dermis = 1.5 + collagen + elastosis - 3.0 * smoothstep(depth_in_dermis, 0.6, 1.1)

    lobules = noise(rng, frame.grid.shape, (0.3 / frame.grid.dz, 1.6 / frame.grid.dx))
    lobules = lobules + 0.12 * collagen / 3
    ridge = np.exp(-((lobules / 0.13) ** 2)) * smoothstep(np.roll(collagen, 97, 1), -4.0, 1.0)
    subcutis = FAT + 0.5 * collagen + (FIBROUS - 2 - FAT) * ridge

    bed = fat + frame.thickness + 0.25 * profile(rng, frame.x, 3.0)
    fibres = frame.texture(rng, 0.12, 2.5)
    muscle = MUSCLE + 4.0 * fibres + (FIBROUS + 4 - MUSCLE) * np.exp(-(((u - bed) / 0.12) ** 2))

    ragged = 0.12 * frame.texture(rng, 0.3, 0.5)
    in_dermis = smoothstep(u, frame.epidermis - soft, frame.epidermis + soft)
    in_fat = smoothstep(u + ragged - frame.dermis, -0.08, 0.08)
    in_muscle = smoothstep(u - bed, -0.12, -0.02)
    scatter = GEL + smoothstep(u, -soft, 0.0) * (EPIDERMIS - GEL)
    scatter = scatter + in_dermis * (dermis - scatter)
    scatter = scatter + in_fat * (subcutis - scatter)
    scatter = scatter + in_muscle * (muscle - scatter)
    attenuation = 0.05 + 0.95 * (u > 0) - 0.3 * in_fat
    return scatter, attenuation


def _entry_echo(rng: np.random.Generator, grid: Grid, scanner: Scanner, surface: Image) -> Complex:
    """The bright line where the beam enters the skin: a smooth part and a rough one."""
    phase = np.exp(-1j * phase_step(grid, scanner) * surface)
    rough = rng.standard_normal((2, len(surface)))
    line = 2.6 * phase + 3.2 * (rough[0] + 1j * rough[1])
    row = surface / grid.dz - 0.5
    first = np.clip(row.astype(np.int64), 0, grid.shape[0] - 2)
    part = row - first
    field = np.zeros(grid.shape, dtype=np.complex64)
    columns = np.arange(len(surface))
    field[first, columns] = (1 - part) * line
    field[first + 1, columns] = part * line
    return field


def _artefacts(
    rng: np.random.Generator, frame: _Frame, scatter: Image, attenuation: Image, nuisance: float
) -> tuple[Image, Image]:
    """Air at the probe's edge and bubbles in the gel."""
    grid = frame.grid
    if rng.uniform() < 0.25 * nuisance:
        reach = grid.field * rng.uniform(0.04, 0.13)
        side = rng.choice([-1.0, 1.0])
        lost = smoothstep(side * grid.x, grid.field / 2 - reach, grid.field / 2 - 0.6 * reach)
        attenuation = attenuation + lost * 30.0 * (grid.z < 0.3)
        rings = np.exp(-(((grid.z / 0.35) % 1 - 0.5) ** 2) / 0.02) * np.exp(-grid.z / 0.5)
        scatter = np.maximum(scatter, lost * rings * 90 - 75)
    for _ in range(rng.poisson(0.7 * nuisance)):
        at_x = rng.uniform(-0.5, 0.5) * grid.field
        at_z = rng.uniform(0.2, 0.8)
        r = rng.uniform(0.06, 0.14)
        d2 = ((grid.x - at_x) / r) ** 2 + ((grid.z - at_z) / (0.6 * r)) ** 2
        bubble = np.exp(-0.5 * d2)
        scatter = np.maximum(scatter, GEL + bubble * 85)
        attenuation = attenuation + bubble * rng.uniform(2, 12)
    return scatter, attenuation


def _ellipse(frame: _Frame, centre: float, height: float, wobble: Image | float = 0.0) -> Image:
    """Distance from the centre of an ellipse, 1 on its border, (Z, X)."""
    return np.asarray(
        np.sqrt((frame.x / frame.half) ** 2 + ((frame.u - centre) / height) ** 2) + wobble
    )


def _band(rng: np.random.Generator, frame: _Frame) -> _Lesion:
    """Thin, fusiform, homogeneous, in the upper dermis, with a smooth lower border."""
    thick = min(rng.uniform(0.65, 1.0), 0.75 * frame.thickness)
    arch = np.sqrt(np.clip(1 - np.abs(frame.x / frame.half) ** 2.2, 0, 1))
    lower = frame.epidermis + thick * (arch + 0.05 * profile(rng, frame.x, 1.0))
    mask = smoothstep(lower - frame.u, -0.04, 0.06) * (np.abs(frame.x) < frame.half)
    return _Lesion(mask, -21.0 + 1.5 * frame.texture(rng, 0.3, 0.5), 0.8)


def _cystic(rng: np.random.Generator, frame: _Frame) -> _Lesion:
    """Round, nearly anechoic, sharp, with enhancement behind it and shadows at its edges."""
    height = float(np.clip(frame.half * rng.uniform(0.62, 0.8), 0.9, 1.9))
    centre = frame.epidermis + height + rng.uniform(0.15, 0.5)
    wobble = 0.03 * frame.texture(rng, 1.0, 1.5)
    mask = smoothstep(_ellipse(frame, centre, height, wobble), 1.03, 0.97)
    debris = 3.0 * frame.texture(rng, 0.3, 0.5)
    return _Lesion(mask, -44.0 + debris, 0.1, refraction=1.6)


def _infiltrating(rng: np.random.Generator, frame: _Frame) -> _Lesion:
    """Deep, irregular, ill-defined and heterogeneous, with strands below and bright spots."""
    deep = max(frame.thickness * rng.uniform(1.1, 1.5), 2.2)
    fingers = 0.22 * profile(rng, frame.x, 0.5) + 0.2 * profile(rng, frame.x, 1.2)
    arch = np.clip(1 - np.abs(frame.x / frame.half) ** 2.5, 0, 1) ** 0.6
    ragged = 0.28 * frame.texture(rng, 0.35, 0.45)
    lower = frame.epidermis + deep * arch * np.clip(1 + fingers, 0.3, 1.5)
    mask = smoothstep(lower - frame.u + ragged, -0.12, 0.2)
    mask = mask * smoothstep(np.abs(frame.x) + ragged, 1.08 * frame.half, 0.95 * frame.half)
    spots = frame.texture(rng, 0.12, 0.16)
    bright = 0.55 * smoothstep(spots, 2.3, 2.9) * mask
    return _Lesion(mask, -25.0 + 4.0 * frame.texture(rng, 0.4, 0.5), 1.1, bright, 1.0)


def _shadowing(rng: np.random.Generator, frame: _Frame) -> _Lesion:
    """Hypoechoic nodule with a rim and echogenic deposits (keratin, calcium) that cast shadow."""
    height = rng.uniform(0.6, 0.9)
    centre = frame.epidermis + height * rng.uniform(0.9, 1.2)
    wobble = 0.06 * frame.texture(rng, 0.6, 0.8)
    radius = _ellipse(frame, centre, height, wobble)
    mask = smoothstep(radius, 1.06, 0.94)
    level = centre - height * rng.uniform(0.2, 0.9)
    arc = level + 0.35 * height * (frame.x / frame.half) ** 2 + 0.08 * profile(rng, frame.x, 0.4)
    clumps = smoothstep(frame.texture(rng, 0.5, 0.35), -1.1, -0.3)
    cap = np.exp(-(((frame.u - arc) / 0.13) ** 2)) * smoothstep(
        np.abs(frame.x), 0.92 * frame.half, 0.75 * frame.half
    )
    bright = cap * clumps * (frame.u > 0.3 * frame.epidermis)
    return _Lesion(mask, -14.0 + 3.0 * frame.texture(rng, 0.3, 0.4), 1.2, bright, 22.0)


def _lobular(rng: np.random.Generator, frame: _Frame) -> _Lesion:
    """Oval in the subcutis, along the skin, striated, with a thin capsule."""
    height = rng.uniform(0.9, 1.4)
    centre = frame.thickness + height + rng.uniform(0.2, 0.6)
    radius = _ellipse(frame, centre, height, 0.04 * frame.texture(rng, 0.8, 1.2))
    mask = smoothstep(radius, 1.04, 0.96)
    striae = np.exp(-((frame.texture(rng, 0.13, 1.6) / 0.35) ** 2))
    capsule = np.exp(-(((radius - 1) / 0.06) ** 2))
    return _Lesion(mask, -17.0 + 13.0 * striae + 12.0 * capsule, 0.9)


_LESIONS = {
    "band": _band,
    "cystic": _cystic,
    "infiltrating": _infiltrating,
    "shadowing": _shadowing,
    "lobular": _lobular,
}
