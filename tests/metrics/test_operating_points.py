import numpy as np
import pytest
from sklearn import metrics as reference

from agfnet.metrics.operating_points import (
    halfway_threshold,
    rates_at,
    threshold_for_sensitivity,
)


def test_the_threshold_by_hand():
    score = np.array([0.9, 0.7, 0.7, 0.4, 0.2, 0.95])
    positive = np.array([1, 1, 1, 1, 1, 0], dtype=bool)
    found = [threshold_for_sensitivity(score, positive, aim) for aim in (0.2, 0.4, 0.6, 0.8, 1)]
    assert found == [0.9, 0.7, 0.7, 0.4, 0.2]
    assert threshold_for_sensitivity(score, positive, 0.61) == 0.4
    assert threshold_for_sensitivity(score, ~positive & False, 0.9) is None


@pytest.mark.parametrize("aim", [0.5, 0.9, 0.95, 1.0])
def test_no_larger_threshold_is_as_sensitive(aim):
    rng = np.random.default_rng(0)
    score, positive = rng.random(101).round(2), rng.random(101) < 0.5
    found = threshold_for_sensitivity(score, positive, aim)
    assert (score[positive] >= found).mean() >= aim
    assert (score[positive] > found).mean() < aim


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [(0.124, 0.115), (0.115, 0.115), (0.1149, 0.105), (0.9, 0.895), (0.005, 0.005), (0.003, 0.003)],
)
def test_a_threshold_that_the_number_shown_decides(threshold, expected):
    assert halfway_threshold(threshold) == pytest.approx(expected, abs=1e-12)


def test_rates_at_a_threshold_agree_with_scikit_learn():
    rng = np.random.default_rng(1)
    score, target = rng.random(80).round(1), rng.integers(2, size=80)
    said = score >= 0.6
    expected = {
        "sensitivity": reference.recall_score(target, said),
        "specificity": reference.recall_score(1 - target, ~said),
        "ppv": reference.precision_score(target, said),
        "npv": reference.precision_score(1 - target, ~said),
        "predicted_positive_rate": said.mean(),
    }
    assert rates_at(score, target == 1, 0.6)(np.ones(80)) == pytest.approx(expected)
    empty = rates_at(score, target == 1, 0.6)(np.zeros(80))
    assert np.isnan(list(empty.values())).all()
