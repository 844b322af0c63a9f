import dataclasses

import numpy as np
import pytest

from agfnet.inference.predictions import Predictions
from agfnet.metrics.decision_curve import decision_curve


def _cohort(score, positive):
    rows = len(score)
    return Predictions(
        classes=("benign", "melanoma"),
        lesion_id=tuple(f"L{row}" for row in range(rows)),
        patient_id=tuple(f"P{row // 2}" for row in range(rows)),
        label=tuple("melanoma" if yes else "benign" for yes in positive),
        probabilities=np.stack([1 - score, score], axis=1),
    )


def test_net_benefit_by_hand():
    # At 0.2: 3 of 10 cases are true and 4 false positives, each false one costs 0.2 / 0.8.
    score = np.array([0.9, 0.5, 0.2, 0.1, 0.2, 0.3, 0.6, 0.8, 0.1, 0.0])
    positive = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    found = decision_curve(
        _cohort(score, positive), ["melanoma"], thresholds=(0.2, 0.7), resamples=50
    )
    np.testing.assert_allclose(found.model, [0.3 - 0.4 / 4, 0.1 - 0.1 * 0.7 / 0.3], atol=1e-12)
    np.testing.assert_allclose(found.treat_all, [0.4 - 0.6 / 4, 0.4 - 0.6 * 0.7 / 0.3])
    assert (found.low <= found.model).all()
    assert (found.model <= found.high).all()


def test_below_every_probability_it_is_acting_on_all(table):
    cases = table(100)
    found = decision_curve(cases, ["class 1", "class 2"], thresholds=(1e-9,), resamples=5)
    assert found.model == pytest.approx(found.treat_all)


def test_the_definition_at_every_threshold(table):
    cases = table(60, 3)
    found = decision_curve(cases, ["class 2"], resamples=5)
    score, positive = cases.probabilities[:, 2], cases.target == 2
    for t, value in zip(found.threshold, found.model, strict=True):
        called = score >= t
        expected = (called & positive).mean() - (called & ~positive).mean() * t / (1 - t)
        assert value == pytest.approx(expected, abs=1e-12)


def test_one_kind_of_case_and_none(table):
    found = decision_curve(_cohort(np.array([0.3, 0.6]), [0, 0]), ["melanoma"], resamples=5)
    assert (found.model <= 0).all()
    none = dataclasses.replace(table(2), label=("", ""))
    assert np.isnan(decision_curve(none, ["class 0"], resamples=5).model).all()
