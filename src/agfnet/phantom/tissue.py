"""Layered skin with a lesion in it: the anatomy that `bmode.py` images.

Lengths in mm, echo levels in dB relative to healthy dermis, attenuation in dB/cm/MHz. Layers are
chosen to look like published scans at 15 to 25 MHz; only the attenuation of dermis is a measured
one (1.06 dB/cm/MHz, Lebertre et al., Ultrasound in Medicine and Biology 28(5), 2002).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agfnet.phantom.bmode import Complex, Grid, Scanner, Tissue, phase_per_mm
from agfnet.phantom.depth import DEPTH_PAINTERS, Frame, Lesion
from agfnet.phantom.geometry import Image, gauss, profile, smoothstep

GEL, EPIDERMIS, FAT, FIBROUS, MUSCLE, DEPOSIT = -75.0, -2.0, -25.0, 0.0, -15.0, 11.0
"""Echo levels; fibrous tissue is that of septa and fascia."""
GEL_LOSS, SKIN_LOSS, FAT_LOSS, AIR_LOSS = 0.05, 1.06, 0.7, 30.0
"""Attenuation of gel, of epidermis, dermis and muscle, of fat, and of air at the probe."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """A body site: mean thicknesses of its layers, mm, and its terminal hairs per cm2."""

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
    """One cross-section: the tissue, and the mask of the lesion."""

    tissue: Tissue
    lesion: Image  # (Z, X) in [0, 1]


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
    """Draw a cross-section through a lesion.

    Args:
        depth: Depth phenotype, one of `entities.DEPTHS`.
        width: Width of the lesion, mm.
        site: One of `SITES`.
        grid: Grid on which it is described.
        scanner: Its wavelength decides the phases of interfaces.
        rng: Random number generator; one in the same state draws the same anatomy.
        nuisance: 0 to 1, strength of tilt, artefacts and anatomical variation.
        offset: Distance of the section from the lesion's centre, as a fraction of its half width.
    """
    chord = float(np.sqrt(max(1 - offset**2, 0.05)))
    half = 0.5 * width * chord
    centre = rng.uniform(-0.08, 0.08) * grid.field * (0.5 + nuisance)
    bulge = rng.uniform(0.05, 0.45) * chord
    surface = _surface(rng, grid, nuisance) - bulge * gauss(grid.x - np.float32(centre), half)
    layers, spread = SITES[site], rng.uniform(-1, 1, 3)
    frame = Frame(
        u=grid.z - surface,
        x=grid.x - np.float32(centre),
        dz=grid.dz,
        dx=grid.dx,
        half=half,
        epidermis=float(layers.epidermis * (1 + 0.2 * spread[0])),
        dermis=float(layers.dermis * (1 + 0.18 * spread[1])),
    )
    fat = float(layers.fat * (1 + 0.3 * spread[2]))
    scatter, attenuation = _skin(rng, frame, fat, nuisance)
    lesion = DEPTH_PAINTERS[depth](rng, frame)
    mask = lesion.mask * (frame.u > frame.epidermis)
    scatter, attenuation = _replace(scatter, attenuation, frame, lesion, mask)
    interface = _entry_echo(rng, grid, scanner, surface)
    scatter, attenuation = _artefacts(rng, grid, scatter, attenuation, nuisance)
    return Section(Tissue(scatter, attenuation, interface), mask)


def _surface(rng: np.random.Generator, grid: Grid, nuisance: float) -> Image:
    """Draw the depth of the skin surface below the transducer (X,), with its relief."""
    x = grid.x
    gel = 1.1 + 0.25 * nuisance * rng.uniform(-1, 1)
    tilt = np.tan(np.deg2rad(4.0 * nuisance * rng.uniform(-1, 1)))
    sag = 0.35 * nuisance * rng.uniform(0, 1)
    relief = 0.035 * profile(rng, x, 0.7) + 0.012 * profile(rng, x, 0.2)
    bow = np.float32(sag) * (2 * x / np.float32(grid.field)) ** 2
    return np.float32(gel) + np.float32(tilt) * x + bow + relief


def _skin(rng: np.random.Generator, f: Frame, fat: float, nuisance: float) -> tuple[Image, Image]:
    """Draw the echo level and attenuation (Z, X) of healthy skin."""
    u = f.u
    collagen = f.texture(rng, 0.25, 0.7)
    border = f.dermis + 0.1 * profile(rng, f.x, 1.2) + 0.06 * profile(rng, f.x, 0.4)
    at = u / border
    # actinic elastosis: a low-echogenic band below the epidermis of sun-exposed skin
    elastosis = -7.0 * nuisance * rng.uniform(0, 1)
    dermis = 1.5 + 3.0 * collagen + elastosis * gauss(at, 0.18) - 3.0 * smoothstep(at, 0.6, 1.1)

    lobules = f.texture(rng, 0.26, 1.9, 0.0) + 0.12 * collagen
    gaps = smoothstep(np.roll(collagen, f.u.shape[1] // 2, axis=1), -1.4, 0.4)
    subcutis = FAT + 1.5 * collagen + (FIBROUS - FAT) * gauss(lobules, 0.09) * gaps

    bed = f.dermis + fat + 0.25 * profile(rng, f.x, 3.0)
    fascia = (FIBROUS + 4 - MUSCLE) * gauss(u - bed, 0.09)
    muscle = MUSCLE + 4.0 * f.texture(rng, 0.12, 2.5) + fascia

    in_dermis = smoothstep(u, f.epidermis - 0.03, f.epidermis + 0.03)
    in_fat = smoothstep(u - border + 0.12 * np.roll(collagen, 31, axis=1), -0.08, 0.08)
    in_muscle = smoothstep(u - bed, -0.12, -0.02)
    scatter = GEL + (EPIDERMIS - GEL) * smoothstep(u, -0.03, 0.0)
    for fraction, layer in ((in_dermis, dermis), (in_fat, subcutis), (in_muscle, muscle)):
        scatter += fraction * (layer - scatter)
    loss = in_fat * (1 - in_muscle) * np.float32(FAT_LOSS - SKIN_LOSS)
    attenuation = np.where(u > 0, np.float32(SKIN_LOSS), np.float32(GEL_LOSS)) + loss
    return scatter, attenuation


def _replace(
    scatter: Image, attenuation: Image, f: Frame, lesion: Lesion, mask: Image
) -> tuple[Image, Image]:
    """Replace healthy skin by the lesion."""
    scatter = scatter + mask * (lesion.scatter - scatter)
    attenuation = attenuation + mask * (np.float32(lesion.attenuation) - attenuation)
    if lesion.deposits is not None:
        scatter = scatter + lesion.deposits * (DEPOSIT - scatter)
        attenuation = attenuation + lesion.deposits * np.float32(lesion.deposit_attenuation)
    if lesion.edge_attenuation:
        sides = gauss(np.abs(f.x) - np.float32(f.half), 0.12)
        middle = np.float32((f.u * mask).sum() / (mask.sum() + 1e-6))
        attenuation = attenuation + np.float32(lesion.edge_attenuation) * sides * (f.u > middle)
    return scatter, attenuation


def _entry_echo(rng: np.random.Generator, grid: Grid, scanner: Scanner, surface: Image) -> Complex:
    """The bright line where the beam enters the skin: a smooth part and a rough one."""
    phase = np.exp(-1j * phase_per_mm(grid, scanner) * surface)
    rough = rng.standard_normal((2, len(surface)))
    line = 3.5 * phase + 4.0 * (rough[0] + 1j * rough[1])
    row = surface / grid.dz - 0.5
    first = np.clip(row.astype(np.int64), 0, grid.shape[0] - 2)
    part = row - first
    columns = np.arange(len(surface))
    field = np.zeros(grid.shape, dtype=np.complex64)
    field[first, columns] = (1 - part) * line
    field[first + 1, columns] = part * line
    return field


def _artefacts(
    rng: np.random.Generator, grid: Grid, scatter: Image, attenuation: Image, nuisance: float
) -> tuple[Image, Image]:
    """Lost contact at the probe's edge, with its reverberation, and bubbles in the gel."""
    if rng.uniform() < 0.25 * nuisance:
        reach = grid.field * rng.uniform(0.04, 0.13)
        across = grid.x * np.float32(rng.choice([-1, 1]))
        lost = smoothstep(across, grid.field / 2 - reach, grid.field / 2 - 0.6 * reach)
        attenuation = attenuation + lost * AIR_LOSS * (grid.z < 0.3)
        rings = gauss((grid.z / 0.35) % 1 - 0.5, 0.1) * np.exp(-grid.z / 0.5)
        scatter = np.maximum(scatter, GEL + 90 * lost * rings)
    for _ in range(rng.poisson(0.7 * nuisance)):
        x, z = rng.uniform(-0.5, 0.5) * grid.field, rng.uniform(0.2, 0.8)
        r = rng.uniform(0.06, 0.14)
        bubble = gauss(grid.x - np.float32(x), r) * gauss(grid.z - np.float32(z), 0.6 * r)
        scatter = np.maximum(scatter, GEL + 85 * bubble)
        attenuation = attenuation + bubble * np.float32(rng.uniform(2, 12))
    return scatter, attenuation
