import itertools

import numpy as np
import pytest

from agfnet.metrics.risk_coverage import aurc, risk_coverage


def test_risk_and_coverage_by_hand():
    confidence = np.array([0.9, 0.6, 0.8, 0.6])
    target = np.array([0, 1, 1, 0])
    found = risk_coverage(np.stack([confidence, 1 - confidence], axis=1), target)
    np.testing.assert_allclose(found.coverage, [1 / 4, 2 / 4, 1])
    np.testing.assert_allclose(found.risk, [0, 1 / 2, 2 / 4])
    np.testing.assert_allclose(found.threshold, [0.9, 0.8, 0.6])
    assert len(risk_coverage(np.empty((0, 2)), np.empty(0, dtype=int)).risk) == 0


def test_the_area_under_it_is_aurc(table):
    cohort = table(80)
    found = risk_coverage(cohort.probabilities, cohort.target)
    area = aurc(cohort.probabilities, cohort.target)
    assert found.risk.mean() == pytest.approx(area)


def test_aurc_of_distinct_confidences_by_hand():
    # right, wrong, right from the most confident on: risks 0/1, 1/2, 1/3
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    assert aurc(probabilities, np.array([0, 0, 0])) == pytest.approx((1 / 2 + 1 / 3) / 3)


def test_aurc_of_equal_confidences_is_the_mean_over_all_their_orders():
    confidence = np.array([0.9, 0.7, 0.7, 0.7, 0.6, 0.6])
    target = np.array([1, 0, 1, 0, 1, 0])
    orders = [
        (0, *middle, *end)
        for middle in itertools.permutations((1, 2, 3))
        for end in itertools.permutations((4, 5))
    ]
    risks = [np.cumsum(target[list(order)]) / np.arange(1, 7) for order in orders]
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    assert aurc(probabilities, target) == pytest.approx(np.mean(risks))
