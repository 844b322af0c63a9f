import numpy as np
import pytest

from agfnet.errors import ConfigError
from agfnet.phantom.bmode import (
    Grid,
    Scanner,
    Tissue,
    amplitude,
    blur,
    compress,
    display,
    envelope,
    phase_per_mm,
    two_way_attenuation,
    white,
)

GRID = Grid(field=10.0, size=256)
QUIET = {"noise": -300.0, "tgc": 0.0}


def homogeneous(grid, attenuation):
    shape = grid.shape
    return Tissue(
        scatter=np.zeros(shape, np.float32),
        attenuation=np.full(shape, attenuation, np.float32),
        interface=np.zeros(shape, np.complex64),
    )


def scan(tissue, scanner, grid=GRID, seed=0):
    rng = np.random.default_rng(seed)
    return envelope(tissue, grid, scanner, white(rng, grid.shape), white(rng, grid.shape))


def test_speckle_is_fully_developed():
    scanner = Scanner(**QUIET)
    pooled = np.concatenate(
        [scan(homogeneous(GRID, 0.0), scanner, seed=seed).ravel() for seed in range(3)]
    )
    assert pooled.mean() / pooled.std() == pytest.approx(1.913, rel=0.03)
    assert np.mean(pooled**2) == pytest.approx(1.0, rel=0.05)
    for share in (0.1, 0.5, 0.9):  # quantiles of the Rayleigh distribution of unit power
        assert np.quantile(pooled, share) == pytest.approx(np.sqrt(-np.log(1 - share)), rel=0.03)


@pytest.mark.parametrize("frequency", [15.0, 30.0])
def test_attenuation_slope(frequency):
    scanner = Scanner(frequency=frequency, **QUIET)
    echo = scan(homogeneous(GRID, 0.8), scanner)
    level = 10 * np.log10((echo**2).mean(axis=1))
    slope = np.polyfit(GRID.z[20:-20, 0], level[20:-20], 1)[0]
    assert slope == pytest.approx(-2 * 0.8 * frequency / 10, rel=0.03)  # dB/mm


def test_matching_time_gain_compensation_flattens_the_image():
    scanner = Scanner(tgc=0.8, tgc_start=0.0, frequency=15.0, noise=-300.0)
    level = 10 * np.log10((scan(homogeneous(GRID, 0.8), scanner) ** 2).mean(axis=1))
    assert np.polyfit(GRID.z[:, 0], level, 1)[0] == pytest.approx(0, abs=0.1)


def test_electronic_noise_drowns_the_depth():
    lost = scan(homogeneous(GRID, 3.0), Scanner(noise=-50.0, tgc=0.8))
    noise_only = scan(homogeneous(GRID, 300.0), Scanner(noise=-50.0, tgc=0.8))
    assert lost[-50:].mean() == pytest.approx(noise_only[-50:].mean(), rel=0.1)


def correlation(field, axis):
    """Correlation of neighbours along an axis."""
    a, b = np.delete(field, -1, axis), np.delete(field, 0, axis)
    return np.abs((a * b.conj()).mean()) / (np.abs(field) ** 2).mean()


@pytest.mark.parametrize("frequency", [15.0, 25.0, 50.0])
def test_point_spread_function_has_its_width(frequency):
    """White noise behind a Gaussian of sd s correlates as exp(-x^2 / 4 s^2)."""
    grid = Grid(field=6.0, size=320)
    scanner = Scanner(frequency=frequency, focus=3.0)
    field = blur(white(np.random.default_rng(0), grid.shape), grid, scanner)
    axial = max(scanner.axial_sd / grid.dz, 0.7)
    assert correlation(field, 0) == pytest.approx(np.exp(-1 / (4 * axial**2)), rel=0.03)
    for rows in (slice(300, 340), slice(600, 640)):
        sd = np.maximum(scanner.lateral_sd(grid.z[rows]) / grid.dx, 0.7).mean()
        assert correlation(field[rows], 1) == pytest.approx(np.exp(-1 / (4 * sd**2)), rel=0.03)


def test_resolution_follows_frequency_and_depth():
    low, high = Scanner(frequency=15), Scanner(frequency=30)
    assert low.axial_sd == pytest.approx(2 * high.axial_sd)
    depths = np.array([low.focus, low.focus + 5], np.float32)
    assert low.lateral_sd(depths)[0] == pytest.approx(2 * high.lateral_sd(depths)[0])
    assert low.lateral_sd(depths)[1] > low.lateral_sd(depths)[0]
    assert low.lateral_sd(depths)[0] > low.axial_sd


def test_a_tilted_interface_echoes_less():
    scanner = Scanner(frequency=20, **QUIET)

    def level(degrees):
        slope = np.tan(np.deg2rad(degrees))
        row = (3.5 + slope * GRID.x) / GRID.dz
        field = np.zeros(GRID.shape, np.complex64)
        phase = np.exp(-1j * phase_per_mm(GRID, scanner) * row * GRID.dz)
        field[row.astype(int), np.arange(GRID.size)] = phase
        return np.abs(blur(field, GRID, scanner)).max(axis=0)[40:-40].mean()

    assert level(0) > 2 * level(8)


def test_coarse_grids_keep_the_speckle_statistics():
    grid = Grid(field=10.0, size=64)
    echo = np.stack([scan(homogeneous(grid, 0.0), Scanner(**QUIET), grid, s) for s in range(8)])
    assert echo.mean() / echo.std() == pytest.approx(1.913, rel=0.03)


def test_two_way_attenuation_adds_up():
    loss = two_way_attenuation(np.full(GRID.shape, 0.5), GRID, Scanner(frequency=20))
    assert loss[-1, 0] == pytest.approx(2 * 0.5 * 20 * 1.0)  # 10 mm are 1 cm


def test_compression_covers_the_dynamic_range():
    scanner = Scanner(dynamic_range=60, gain=0)
    levels = amplitude(np.array([15.0, -15.0, -45.0, -80.0]))
    np.testing.assert_allclose(compress(levels, scanner), [1, 0.5, 0, 0], atol=1e-3)
    louder = compress(levels, Scanner(dynamic_range=60, gain=6))
    assert louder[1] == pytest.approx(0.6, abs=1e-3)


def test_display_averages_pairs_of_rows():
    image = display(np.array([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]))
    assert image.tolist() == [[128, 255], [0, 0]]


@pytest.mark.parametrize(("name", "value"), [("frequency", 0), ("field", -1), ("f_number", 99)])
def test_scanner_settings_are_checked(name, value):
    with pytest.raises(ConfigError, match=name):
        Scanner(**{name: value})
