import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from agfnet.evaluation.calibration import apply_temperature, fit_temperature, reliability
from agfnet.evaluation.metrics import BINS, ece, nll


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
