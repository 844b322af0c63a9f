import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from agfnet.bundle import Calibration
from agfnet.calibration.scaling import fit_temperature, fit_vector
from agfnet.inference.postprocessing import calibrated
from agfnet.metrics.calibration import ece, nll


def _scaled(probabilities, temperature):
    return calibrated(np.log(probabilities), Calibration(temperature=temperature))


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_the_temperature_that_spoiled_the_calibration_is_found(temperature):
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(20000, 4))
    target = np.array([rng.choice(4, p=p) for p in softmax(logits, axis=1)])
    spoiled = softmax(logits * temperature, axis=1)
    found = fit_temperature(spoiled, target)
    assert found == pytest.approx(temperature, rel=0.05)
    assert ece(_scaled(spoiled, found), target) < 0.02


def test_no_other_temperature_is_more_likely(table):
    cohort = table(80)
    best = fit_temperature(cohort.probabilities, cohort.target)
    loss = [
        nll(_scaled(cohort.probabilities, best * factor), cohort.target)
        for factor in (0.98, 1.0, 1.02)
    ]
    assert loss[1] == min(loss)


@pytest.mark.parametrize(
    ("probabilities", "target", "expected"),
    [
        (np.empty((0, 3)), [], 1.0),
        ([[0.6, 0.4], [0.3, 0.7]], [0, 1], 1.0),  # all right: nothing to learn from
        ([[0.6, 0.4], [0.7, 0.3]], [0, 0], 1.0),  # one class, all right
        ([[0.5, 0.5]], [1], 1.0),
        ([[1.0, 0.0], [1.0, 0.0]], [1, 1], 20.0),  # all wrong: as doubtful as allowed
    ],
)
def test_awkward_cases_end_within_the_bounds(probabilities, target, expected):
    found = fit_temperature(np.array(probabilities), np.array(target, dtype=int))
    assert found == pytest.approx(expected, rel=1e-3)


def test_vector_scaling_finds_what_spoiled_each_class():
    rng = np.random.default_rng(0)
    logits = log_softmax(2 * rng.normal(size=(20000, 3)), axis=1)
    scale, bias = np.array([0.6, 1.0, 1.5]), np.array([-1.0, 0.0, 1.0])
    truth = softmax(scale * logits + bias, axis=1)
    target = (rng.random((20000, 1)) > truth.cumsum(axis=1)[:, :2]).sum(axis=1)
    found_scale, found_bias = fit_vector(np.exp(logits), target)
    np.testing.assert_allclose(found_scale, scale, atol=0.1)
    np.testing.assert_allclose(found_bias - found_bias[1], bias, atol=0.15)


def test_vector_scaling_beats_a_temperature_and_stands_on_its_optimum(table):
    cohort = table(200)
    logs, target = np.log(cohort.probabilities), cohort.target
    scale, bias = fit_vector(cohort.probabilities, target)

    def loss(scale, bias):
        fit = nll(softmax(scale * logs + bias, axis=1), target) * 200
        return fit + ((scale - 1) ** 2).sum() / 2 + (bias**2).sum() / 2

    best = loss(scale, bias)
    temperature = fit_temperature(cohort.probabilities, target)
    assert best < loss(np.full(4, 1 / temperature), np.zeros(4))
    for step in 0.05 * np.eye(4):
        assert best < min(loss(scale + step, bias), loss(scale, bias - step))


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_vector_scaling_of_few_or_perfect_cases_stays_near_the_network(rows):
    probabilities = np.tile([1.0, 0.0], (rows, 1))
    scale, bias = fit_vector(probabilities, np.zeros(rows, dtype=int))
    np.testing.assert_allclose(scale, 1, atol=0.01)
    np.testing.assert_allclose(bias, 0, atol=0.01)


def test_the_temperature_is_at_least_a_twentieth():
    nearly_all_right = np.array([0] * 999 + [1])  # and hardly confident: 0.001 would be best
    assert fit_temperature(np.tile([0.501, 0.499], (1000, 1)), nearly_all_right) == pytest.approx(
        0.05, rel=1e-3
    )
