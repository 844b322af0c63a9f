import numpy as np
import pytest

from agfnet.metrics.jackknife import leave_patients_out, weights_without
from agfnet.metrics.metric import together, weighted_mean


def test_every_patient_is_left_out_once_with_all_their_cases():
    weights = np.array(list(weights_without(["a", "b", "a", "c"], 100)))
    np.testing.assert_array_equal(weights, [[0, 1, 0, 1], [1, 0, 1, 1], [1, 1, 1, 0]])


def test_many_patients_are_left_out_in_groups_of_equal_size():
    weights = np.array(list(weights_without(list(map(str, range(30))), 12)))
    assert weights.shape == (10, 30)
    np.testing.assert_array_equal((weights == 0).sum(axis=1), 3)
    np.testing.assert_array_equal((weights == 0).sum(axis=0), 1)


@pytest.mark.parametrize("patients", [[], ["a"], ["a", "a"]])
def test_one_patient_cannot_be_left_out(patients):
    values, left_out = leave_patients_out(
        patients, together({"x": weighted_mean(np.ones(len(patients)))})
    )
    assert len(values) == 1
    assert left_out.shape == (0, 1)


def test_the_variance_of_a_mean_is_that_of_the_textbook():
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=50)
    statistics = together({"mean": weighted_mean(numbers), "square": weighted_mean(numbers**2)})
    values, left_out = leave_patients_out(list(map(str, range(50))), statistics)
    assert values == pytest.approx([numbers.mean(), (numbers**2).mean()])
    variance = ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0) * 49 / 50
    assert variance[0] == pytest.approx(np.var(numbers, ddof=1) / 50)


def test_two_patients_are_enough():
    weights = np.array(list(weights_without(["a", "b", "b"], 100)))
    np.testing.assert_array_equal(weights, [[0, 1, 1], [1, 0, 0]])
