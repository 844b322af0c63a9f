import numpy as np
import pytest

from agfnet.phantom.geometry import noise, outline, profile, smoothstep, strokes


def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("finest", [0.0, 0.2])
def test_noise_is_standardised_and_as_long_as_asked(finest):
    field = noise(rng(), (256, 256), (2.0, 8.0), finest=finest)
    assert field.mean() == pytest.approx(0, abs=1e-4)
    assert field.std() == pytest.approx(1, rel=1e-3)
    rough_z, rough_x = np.diff(field, axis=0).std(), np.diff(field, axis=1).std()
    assert rough_z > 2 * rough_x


def test_gaussian_noise_has_the_gaussian_correlation():
    field = noise(rng(), (512, 512), 5.0)
    lag = (field[:, 5:] * field[:, :-5]).mean()
    assert lag == pytest.approx(np.exp(-(5**2) / (4 * 5**2)), abs=0.05)


def test_profile_is_smooth_and_about_unit():
    curve = profile(rng(), np.linspace(0, 2000, 20001, dtype=np.float32), 1.0)
    assert curve.std() == pytest.approx(1, rel=0.2)
    assert np.abs(np.diff(curve)).max() < 0.6


def test_outline_is_closed_and_bounded():
    angle = np.linspace(-np.pi, np.pi, 721)
    radius = outline(rng(), angle, 0.1)
    assert radius[0] == pytest.approx(radius[-1])
    assert 0.45 <= radius.min() <= radius.max() <= 1.7


def test_smoothstep_runs_both_ways():
    x = np.array([0.0, 0.5, 1.0])
    np.testing.assert_allclose(smoothstep(x, 0, 1), [0, 0.5, 1])
    np.testing.assert_allclose(smoothstep(x, 1, 0), [1, 0.5, 0])


def test_thin_strokes_are_faint():
    line = np.array([[2.0, 10.0], [18.0, 10.0]])
    thick, thin = strokes(20, [(line, 2.0)]), strokes(20, [(line, 0.1)])
    assert 0 < thin.sum() < thick.sum()
    assert thick.max() <= 1
