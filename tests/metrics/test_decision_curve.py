import numpy as np
import pytest

from agfnet.metrics.decision_curve import THRESHOLDS, decision_curve


def _pairs(rows):
    return [f"P{row // 2}" for row in range(rows)]


def test_net_benefit_by_hand():
    # At 0.2: 3 of 10 cases are true and 4 false positives, each false one costs 0.2 / 0.8.
    score = np.array([0.9, 0.5, 0.2, 0.1, 0.2, 0.3, 0.6, 0.8, 0.1, 0.0])
    positive = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], dtype=bool)
    found = decision_curve(score, positive, _pairs(10), thresholds=(0.2, 0.7), resamples=50)
    np.testing.assert_allclose(found.model, [0.3 - 0.4 / 4, 0.1 - 0.1 * 0.7 / 0.3], atol=1e-12)
    np.testing.assert_allclose(found.treat_all, [0.4 - 0.6 / 4, 0.4 - 0.6 * 0.7 / 0.3])
    assert (found.low <= found.model).all()
    assert (found.model <= found.high).all()


def test_below_every_probability_it_is_acting_on_all(table):
    cases = table(100)
    score, positive = cases.probabilities[:, 1], cases.target == 1
    found = decision_curve(score, positive, _pairs(100), thresholds=(1e-9,), resamples=5)
    assert found.model == pytest.approx(found.treat_all)


def test_the_definition_at_every_threshold(table):
    cases = table(60, 3)
    score, positive = cases.probabilities[:, 2], cases.target == 2
    found = decision_curve(score, positive, _pairs(60), resamples=5)
    for t, value in zip(found.threshold, found.model, strict=True):
        called = score >= t
        expected = (called & positive).mean() - (called & ~positive).mean() * t / (1 - t)
        assert value == pytest.approx(expected, abs=1e-12)


def test_one_kind_of_case_and_none():
    negative = np.zeros(4, dtype=bool)
    found = decision_curve(np.array([0.3, 0.6, 0.1, 0.2]), negative, _pairs(4), resamples=5)
    assert (found.model <= 0).all()
    assert np.isnan(decision_curve(np.empty(0), negative[:0], [], resamples=5).model).all()


def test_intervals_are_those_of_the_number_of_resamples(table):
    cases = table(30)
    curves = [
        decision_curve(
            cases.probabilities[:, 1], cases.target == 1, _pairs(30), thresholds=(0.3,), resamples=n
        )
        for n in (2, 3, 2)
    ]
    assert curves[0].low == curves[2].low != curves[1].low


def test_another_seed_draws_other_patients(table):
    cases = table(30)
    curves = [
        decision_curve(
            *(cases.probabilities[:, 1], cases.target == 1, _pairs(30)),
            thresholds=(0.3,),
            resamples=5,
            seed=seed,
        )
        for seed in (0, 1, 0)
    ]
    assert curves[0].low == curves[2].low != curves[1].low


def test_thresholds_are_all_whole_per_cent():
    assert len(THRESHOLDS) == 99
    assert (THRESHOLDS[0], THRESHOLDS[-1]) == (0.01, 0.99)
