"""B-mode imaging of a known tissue: from backscatter, attenuation and interfaces to grey values.

Depth z points down from the transducer, x runs along it; both in mm. Echo levels are in dB
relative to the mean backscatter of healthy dermis. The compensated complex envelope is

    e(z, x) = h(z, x) * { [s(z, x) n(z, x) + r(z, x)] 10^((T(z) - A(z, x)) / 20)
                          + w(z, x) 10^((T(z) + N) / 20) }

with n and w circular complex white Gaussian noise (the limit of many scatterers per resolution
cell: |e| is Rayleigh distributed where s is constant), s the backscatter, r the interfaces with the
phase of the two-way path, A the two-way attenuation, T the time-gain compensation, N the
electronic noise, and h a Gaussian point-spread function whose lateral width depends on depth
(Wagner et al., IEEE Transactions on Sonics and Ultrasonics 30(3), 1983).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from agfnet.errors import ConfigError
from agfnet.phantom.geometry import Image, Pixels

Complex = NDArray[np.complexfloating[Any, Any]]
"""A complex field, single precision."""
SPEED_OF_SOUND = 1.54
"""mm per microsecond."""
_FWHM = 2.3548  # of a Gaussian, in units of its sd
_RANGES = {
    "frequency": (5, 80),
    "bandwidth": (0.1, 1.5),
    "f_number": (0.5, 10),
    "focus": (0, 60),
    "field": (1, 60),
    "dynamic_range": (20, 120),
}


@dataclass(frozen=True, kw_only=True)
class Scanner:
    """A skin ultrasound scanner and its settings.

    Raises:
        ConfigError: A setting is out of range.
    """

    frequency: float = 20.0  # centre frequency, MHz; skin scanners have 15 to 50
    bandwidth: float = 0.6  # at -6 dB, over the centre frequency
    f_number: float = 2.8  # focal length over aperture
    focus: float = 3.5  # depth of the focus, mm
    field: float = 10.0  # side of the square image, mm
    tgc: float = 0.8  # attenuation that time-gain compensation assumes, dB/cm/MHz
    tgc_start: float = 1.0  # depth where it begins, mm
    gain: float = 0.0  # dB
    dynamic_range: float = 58.0  # dB from black to white
    noise: float = -54.0  # electronic noise before compensation, dB

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"scanner {name}: {value} is out of range; use {low} to {high}")

    @property
    def wavelength(self) -> float:
        """Wavelength, mm."""
        return SPEED_OF_SOUND / self.frequency

    @property
    def axial_sd(self) -> float:
        """Standard deviation of the envelope of the echo of a pulse, mm."""
        duration = 0.883 / (self.bandwidth * self.frequency)  # FWHM, microseconds
        return duration * SPEED_OF_SOUND / 2 / _FWHM

    def lateral_sd(self, z: Image) -> Image:
        """Standard deviation (...) of the two-way beam at depth z, mm.

        It is limited by diffraction in the focus, and grows like a cone away from it.
        """
        focal = self.wavelength * self.f_number / _FWHM
        cone = np.abs(z - np.float32(self.focus)) * np.float32(0.14 / self.f_number / _FWHM)
        width: Image = np.hypot(np.float32(focal), cone)
        return width


@dataclass(frozen=True, eq=False)
class Grid:
    """Grid on which tissue is described: a square field, twice as fine in depth as across."""

    field: float  # mm
    size: int  # columns, and pixels of the image

    @property
    def dx(self) -> float:
        """Spacing across, and of the image's pixels, mm."""
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
        rows = np.arange(2 * self.size, dtype=np.float32)[:, None]
        return (rows + 0.5) * np.float32(self.dz)

    @property
    def x(self) -> Image:
        """Positions (X,), mm, 0 in the middle."""
        columns = np.arange(self.size, dtype=np.float32)
        return (columns - (self.size - 1) / 2) * np.float32(self.dx)


@dataclass(frozen=True, eq=False)
class Tissue:
    """Tissue under the transducer, on a grid."""

    scatter: Image  # (Z, X) mean backscatter, dB
    attenuation: Image  # (Z, X) dB/cm/MHz
    interface: Complex  # (Z, X) amplitude of smooth interfaces, with the phase of their path


def white(rng: np.random.Generator, shape: tuple[int, int]) -> Complex:
    """Draw circular complex white Gaussian noise of unit power."""
    parts = rng.standard_normal((*shape, 2), dtype=np.float32) * np.float32(np.sqrt(0.5))
    field: Complex = parts.view(np.complex64)[..., 0]
    return field


def amplitude(db: Image) -> Image:
    """Convert dB to amplitude."""
    linear: Image = np.exp(db * np.float32(np.log(10) / 20))
    return linear


def two_way_attenuation(attenuation: Image, grid: Grid, scanner: Scanner) -> Image:
    """Return the loss (Z, X) on the way to each point and back, dB, of attenuation in dB/cm/MHz."""
    return np.cumsum(attenuation * np.float32(2 * scanner.frequency * grid.dz / 10), axis=0)


def compensation(grid: Grid, scanner: Scanner) -> Image:
    """Return the time-gain compensation (Z, 1), dB, at most 36."""
    slope = np.float32(2 * scanner.frequency * scanner.tgc / 10)
    gain: Image = np.clip(slope * (grid.z - np.float32(scanner.tgc_start)), 0, 36)
    return gain


def phase_per_mm(grid: Grid, scanner: Scanner) -> float:
    """Return the two-way phase per mm of depth.

    A tilted interface loses its echo because phases cancel over the width of the beam. Where the
    grid widens the beam, the phase turns more slowly, so that the same tilt loses the same echo.
    """
    focal = scanner.wavelength * scanner.f_number / _FWHM
    return 4 * np.pi / scanner.wavelength * min(1.0, focal / (_COARSEST * grid.dx))


_COARSEST = 0.7  # smallest sd of the point-spread function, in spacings of the grid


def blur(field: Complex, grid: Grid, scanner: Scanner) -> Complex:
    """Convolve (Z, X) with the point-spread function, scaled so that white noise keeps its power.

    A grid too coarse for the point-spread function widens it to 0.7 of its spacing.
    """
    axial = max(scanner.axial_sd / grid.dz, _COARSEST)
    reach = int(4 * axial) + 1
    pulse = np.exp(-0.5 * (np.arange(-reach, reach + 1) / axial) ** 2).astype(np.float32)
    pulse /= np.sqrt((pulse**2).sum())
    field = ndimage.convolve1d(field, pulse, axis=0, mode="reflect")

    lateral = np.maximum(scanner.lateral_sd(grid.z) / np.float32(grid.dx), _COARSEST)  # (Z, 1)
    pad = int(3 * lateral.max()) + 1
    columns = field.shape[1]
    width = fft.next_fast_len(columns + 2 * pad)
    f = np.fft.fftfreq(width).astype(np.float32)
    beam = np.exp(-0.5 * (np.float32(2 * np.pi) * f * lateral) ** 2)
    beam /= np.sqrt((beam**2).mean(axis=1, keepdims=True))
    padded = np.pad(field, ((0, 0), (pad, width - columns - pad)), mode="reflect")
    blurred: Complex = fft.ifft(fft.fft(padded, axis=1) * beam, axis=1)
    return blurred[:, pad : pad + columns]


def envelope(
    tissue: Tissue, grid: Grid, scanner: Scanner, speckle: Complex, receiver: Complex
) -> Image:
    """Return the envelope (Z, X) of the compensated echo.

    Dermis without attenuation has a mean power of 1.

    Args:
        tissue: Tissue that is imaged.
        grid: Grid on which it is described.
        scanner: Scanner that images it.
        speckle: `white` noise, the scatterers. Frames of a sweep share part of it.
        receiver: `white` noise of the electronics.
    """
    tgc = compensation(grid, scanner)
    loss = two_way_attenuation(tissue.attenuation, grid, scanner)
    source = amplitude(tissue.scatter) * speckle + tissue.interface
    echo = source * amplitude(tgc - loss) + receiver * amplitude(tgc + np.float32(scanner.noise))
    return np.abs(blur(echo, grid, scanner))


WHITE_LEVEL = 15.0
"""Echo level, dB, that is displayed as white at a gain of 0."""


def compress(envelope: Image, scanner: Scanner) -> Image:
    """Compress an envelope (Z, X) logarithmically to [0, 1]."""
    db = 20 * np.log10(envelope + np.float32(1e-6)) + np.float32(scanner.gain - WHITE_LEVEL)
    grey: Image = np.clip(1 + db / np.float32(scanner.dynamic_range), 0, 1)
    return grey


def display(grey: Image) -> Pixels:
    """Convert grey values (2 X, X) in [0, 1] to the image (X, X) on the screen."""
    return np.rint(255 * pair_rows(grey)).astype(np.uint8)


def pair_rows(field: Image) -> Image:
    """Average pairs of rows: from the grid (2 X, X) to the pixels (X, X) of the image."""
    rows, columns = field.shape
    mean: Image = field.reshape(rows // 2, 2, columns).mean(axis=1)
    return mean
