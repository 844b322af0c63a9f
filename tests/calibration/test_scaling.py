import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from agfnet.calibration.scaling import (
    apply_temperature,
    effective_cases,
    fit_temperature,
    fit_vector,
    reliability,
)
from agfnet.metrics.summary import BINS, ece, nll


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_the_temperature_that_spoiled_the_calibration_is_found(temperature):
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(20000, 4))
    target = np.array([rng.choice(4, p=p) for p in softmax(logits, axis=1)])
    spoiled = softmax(logits * temperature, axis=1)
    found = fit_temperature(spoiled, target)
    assert found == pytest.approx(temperature, rel=0.05)
    assert ece(apply_temperature(spoiled, found), target) < 0.02


def test_no_other_temperature_is_more_likely(table):
    cohort = table(80)
    best = fit_temperature(cohort.probabilities, cohort.target)
    loss = [
        nll(apply_temperature(cohort.probabilities, best * factor), cohort.target)
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


def test_apply_is_softmax_of_the_divided_logits():
    logits = np.random.default_rng(1).normal(size=(50, 6))
    scaled = apply_temperature(softmax(logits, axis=1), 3.0)
    np.testing.assert_allclose(np.log(scaled), log_softmax(logits / 3, axis=1))
    np.testing.assert_array_equal(scaled.argmax(axis=1), logits.argmax(axis=1))


def test_apply_with_certainty_and_with_one():
    certain = np.array([[1.0, 0.0]])
    np.testing.assert_allclose(apply_temperature(certain, 0.05), certain)
    even = np.array([[0.2, 0.3, 0.5]])
    np.testing.assert_allclose(apply_temperature(even, 1.0), even)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_apply_refuses_no_temperature(temperature):
    with pytest.raises(ValueError):
        apply_temperature(np.array([[0.5, 0.5]]), temperature)


def test_reliability_by_hand():
    probabilities = np.array([[0.55, 0.45], [0.6, 0.4], [0.05, 0.95], [1.0, 0.0]])
    found = reliability(probabilities, np.array([0, 1, 1, 0]), bins=10)
    assert found.cases.tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 0, 2]
    np.testing.assert_allclose(found.confidence[[5, 9]], [0.575, 0.975])
    np.testing.assert_allclose(found.accuracy[[5, 9]], [0.5, 1])
    assert np.isnan(found.accuracy[0])
    assert found.low[5] < 0.5 < found.high[5]


def test_reliability_sums_up_to_the_calibration_error(table):
    cohort = table(300)
    found = reliability(cohort.probabilities, cohort.target, bins=BINS)
    gaps = np.nansum(found.cases * np.abs(found.confidence - found.accuracy)) / 300
    assert ece(cohort.probabilities, cohort.target) == pytest.approx(gaps)


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


def test_equal_mass_reliability_has_equally_many_in_each_bin(table):
    cohort = table(300)
    found = reliability(cohort.probabilities, cohort.target, 5, equal_mass=True)
    assert found.cases.tolist() == [60] * 5
    assert (np.diff(found.confidence) > 0).all()
    right = (cohort.probabilities.argmax(axis=1) == cohort.target).mean()
    assert found.accuracy.mean() == pytest.approx(right)


def test_patients_widen_the_intervals_of_reliability(table):
    cohort = table(100)
    rows = np.repeat(np.arange(100), 4)
    many = cohort.select(rows)
    alone = reliability(cohort.probabilities, cohort.target, 4, patient=np.arange(100))
    known = reliability(many.probabilities, many.target, 4, patient=rows)
    naive = reliability(many.probabilities, many.target, 4)
    filled = alone.cases > 5
    np.testing.assert_allclose(known.low[filled], alone.low[filled], atol=0.02)
    assert (known.low[filled] < naive.low[filled]).all()
    np.testing.assert_allclose(known.accuracy, naive.accuracy)


def test_effective_cases():
    right = np.array([1.0, 0, 1, 1, 0, 1])
    assert effective_cases(np.repeat(right, 3), np.repeat(np.arange(6), 3)) == pytest.approx(
        effective_cases(right, np.arange(6))
    )
    assert effective_cases(right, np.arange(6)) == pytest.approx(5)  # variance over n - 1
    assert effective_cases(np.ones(6), np.array([0, 0, 1, 1, 2, 2])) == 3
    assert effective_cases(right, np.zeros(6)) == 1
    assert effective_cases(np.empty(0), np.empty(0)) == 0
