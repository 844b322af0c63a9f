"""B-mode imaging of a known tissue: from backscatter, attenuation and interfaces to grey values.

Depth z points down from the transducer, x runs along it; both in mm. Echo levels are in dB
relative to the mean backscatter of healthy dermis. The received complex envelope is

    e(z, x) = h(z, x) * [ s(z, x) n(z, x) + r(z, x) ] 10^((T(z) - A(z, x)) / 20)
              + w(z, x) 10^((T(z) + noise) / 20)

with n and w circular complex white Gaussian noise (the limit of many scatterers in each resolution
cell, so that |e| is Rayleigh distributed where s is constant), s the backscatter, r the interfaces
with the phase of the two-way path, A the two-way attenuation above z, T the time-gain compensation
and h a Gaussian point-spread function whose lateral width depends on depth (Cobbold, Foundations
of Biomedical Ultrasound, Oxford University Press, 2007).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from agfnet.errors import ConfigError
from agfnet.phantom.geometry import Image

SPEED_OF_SOUND = 1.54
"""mm per microsecond."""
_FWHM = 2.3548  # of a Gaussian, in units of its sd
Complex = NDArray[np.complex64]


@dataclass(frozen=True, kw_only=True)
class Scanner:
    """A skin ultrasound scanner and its settings."""

    frequency: float = 20.0  # centre frequency, MHz, 15 to 50
    bandwidth: float = 0.6  # -6 dB bandwidth over centre frequency
    f_number: float = 2.8  # focal length over aperture
    focus: float = 3.5  # depth of the focus, mm
    field: float = 12.0  # side of the square image, mm
    tgc: float = 0.8  # attenuation that the time-gain compensation assumes, dB/cm/MHz
    tgc_start: float = 1.0  # depth at which it begins, mm
    gain: float = 0.0  # dB
    dynamic_range: float = 58.0  # dB between black and white
    noise: float = -54.0  # electronic noise before compensation, dB

    def __post_init__(self) -> None:
        for name, low, high in (
            ("frequency", 5, 80),
            ("bandwidth", 0.1, 1.5),
            ("f_number", 0.5, 10),
            ("field", 1, 60),
            ("dynamic_range", 20, 120),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"scanner {name}: {value} is not in {low} to {high}")

    @property
    def wavelength(self) -> float:
        """In mm."""
        return SPEED_OF_SOUND / self.frequency

    @property
    def axial_sd(self) -> float:
        """Sd of the envelope of the pulse echo, mm."""
        fwhm = 0.883 / (self.bandwidth * self.frequency) * SPEED_OF_SOUND / 2
        return fwhm / _FWHM

    def lateral_sd(self, z: Image) -> Image:
        """Sd of the two-way beam at depth z, mm: diffraction at the focus, a cone off it."""
        focal = self.wavelength * self.f_number / _FWHM
        off = 0.14 * np.abs(z - self.focus) / self.f_number / _FWHM
        return np.asarray(np.hypot(focal, off), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Grid:
    """Where tissue is described: a square field, twice as fine in depth as across."""

    field: float  # mm
    size: int  # columns, and pixels of the image

    @property
    def dx(self) -> float:
        """Spacing across, which is the pixel spacing of the image, mm."""
        return self.field / self.size

    @property
    def dz(self) -> float:
        """Spacing in depth, mm."""
        return self.dx / 2

    @property
    def shape(self) -> tuple[int, int]:
        """(Z, X)."""
        return 2 * self.size, self.size

    @property
    def z(self) -> Image:
        """Depths (Z, 1), mm."""
        return ((np.arange(2 * self.size, dtype=np.float32) + 0.5) * np.float32(self.dz))[:, None]

    @property
    def x(self) -> Image:
        """Positions (X,), mm, 0 in the middle."""
        return (np.arange(self.size, dtype=np.float32) - (self.size - 1) / 2) * np.float32(self.dx)


@dataclass(frozen=True, eq=False)
class Tissue:
    """What lies under the transducer, on a grid (Z, X)."""

    scatter: Image  # mean backscatter, dB
    attenuation: Image  # dB/cm/MHz
    interface: Complex  # amplitude of specular interfaces, with the phase of the two-way path


def white(rng: np.random.Generator, shape: tuple[int, int]) -> Complex:
    """Circular complex white Gaussian noise of unit power."""
    parts = rng.standard_normal((*shape, 2), dtype=np.float32) * np.float32(np.sqrt(0.5))
    return np.asarray(parts.view(np.complex64)[..., 0])


def blur(field: Complex, grid: Grid, scanner: Scanner) -> Complex:
    """Convolve with the point-spread function, scaled so that white noise keeps its power.

    A grid too coarse for the point-spread function widens it to 0.7 spacings.
    """
    axial = max(scanner.axial_sd / grid.dz, 0.7)
    reach = int(4 * axial) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / axial) ** 2).astype(np.float32)
    kernel /= np.sqrt((kernel**2).sum())
    field = ndimage.convolve1d(field, kernel, axis=0, mode="reflect")

    lateral = np.maximum(scanner.lateral_sd(grid.z) / grid.dx, 0.7)  # (Z, 1)
    pad = int(3 * lateral.max()) + 1
    padded = np.pad(field, ((0, 0), (pad, pad)), mode="reflect")
    width = fft.next_fast_len(padded.shape[1])
    f = np.fft.fftfreq(width).astype(np.float32)
    response = np.exp(-0.5 * (2 * np.pi * f * lateral) ** 2)
    response /= np.sqrt((response**2).mean(axis=1, keepdims=True))
    spectrum = fft.fft(padded, n=width, axis=1)
    return np.asarray(fft.ifft(spectrum * response, axis=1)[:, pad : pad + field.shape[1]])


def phase_step(grid: Grid, scanner: Scanner) -> float:
    """Two-way phase per mm of depth, as far as the grid resolves the beam.

    An interface tilted against the beam loses its echo as phases cancel over the beam's width.
    Where the grid widens the beam, the phase turns more slowly, so that the angle is kept.
    """
    sd = float(scanner.lateral_sd(np.float32(scanner.focus)))
    return 4 * np.pi / scanner.wavelength * min(1.0, sd / (0.7 * grid.dx))


def two_way_attenuation(attenuation: Image, grid: Grid, scanner: Scanner) -> Image:
    """dB lost on the way to each point and back, from dB/cm/MHz."""
    step = np.float32(2 * scanner.frequency * grid.dz / 10)
    return np.cumsum(attenuation * step, axis=0, dtype=np.float32)


def compensation(grid: Grid, scanner: Scanner) -> Image:
    """Time-gain compensation (Z, 1), dB, at most 50."""
    slope = 2 * scanner.frequency * scanner.tgc / 10
    return np.clip(slope * (grid.z - scanner.tgc_start), 0, 50).astype(np.float32)


def envelope(
    tissue: Tissue, grid: Grid, scanner: Scanner, speckle: Complex, receiver: Complex
) -> Image:
    """Envelope (Z, X) of the compensated echo; homogeneous dermis has a mean power of 1.

    Args:
        tissue: What is imaged.
        grid: Where it is described.
        scanner: What images it.
        speckle: `white` noise, the scatterers. Frames of a sweep share part of it.
        receiver: `white` noise of the electronics.
    """
    tgc = compensation(grid, scanner)
    loss = two_way_attenuation(tissue.attenuation, grid, scanner)
    source = amplitude(tissue.scatter) * speckle + tissue.interface
    echo = source * amplitude(tgc - loss) + receiver * amplitude(tgc + np.float32(scanner.noise))
    return np.asarray(np.abs(blur(echo, grid, scanner)))


def amplitude(db: Image) -> Image:
    """From dB to amplitude."""
    return np.exp(db * np.float32(np.log(10) / 20))


def compress(envelope: Image, scanner: Scanner, *, white_level: float = 15.0) -> Image:
    """Log compression to [0, 1]: white is `white_level` dB above the dermis at a gain of 0."""
    db = 20 * np.log10(envelope + 1e-6) + scanner.gain
    return np.clip(1 + (db - white_level) / scanner.dynamic_range, 0, 1).astype(np.float32)


def display(grey: Image) -> NDArray[np.uint8]:
    """Image (size, size) on the screen, from the compressed envelope (2 size, size)."""
    rows, columns = grey.shape
    return np.rint(255 * grey.reshape(rows // 2, 2, columns).mean(axis=1)).astype(np.uint8)
