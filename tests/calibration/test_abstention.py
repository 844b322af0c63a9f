import numpy as np
import pytest
from scipy.stats import binomtest

from agfnet.calibration.abstention import (
    fit_abstention,
    one_per_patient,
    upper_bound,
)
from agfnet.inference.predictions import Predictions


def _cohort(confidence, right, per_patient=1):
    rows = len(confidence)
    return Predictions(
        classes=("a", "b"),
        lesion_id=tuple(f"L{row}" for row in range(rows)),
        patient_id=tuple(f"P{row // per_patient}" for row in range(rows)),
        label=tuple("a" if yes else "b" for yes in right),
        probabilities=np.stack([confidence, 1 - confidence], axis=1),
    )


def _drawn(rng, rows):
    """A network that is as often right as it says."""
    confidence = rng.uniform(0.5, 1, rows)
    return _cohort(confidence, rng.random(rows) < confidence)


@pytest.mark.parametrize(("errors", "cases"), [(0, 10), (3, 10), (10, 10), (40, 1000)])
def test_the_bound_is_that_of_clopper_and_pearson(errors, cases):
    interval = binomtest(errors, cases, alternative="less").proportion_ci(0.95, "exact")
    assert upper_bound(errors, cases, 0.05) == pytest.approx(interval.high)


def test_the_risk_is_kept_as_often_as_promised():
    rng = np.random.default_rng(1)
    broken, coverage = 0, []
    for _ in range(120):
        found = fit_abstention(_drawn(rng, 600), target_risk=0.2, confidence=0.9)
        if found is None:
            continue
        assert found.bound <= 0.2
        # confidence above t is right with probability (1 + t) / 2 on average
        broken += (1 - found.threshold) / 2 > 0.2
        coverage.append(found.coverage)
    assert broken <= 0.1 * 120
    assert len(coverage) > 90
    assert np.mean(coverage) > 0.3


def test_everything_is_answered_where_all_is_right():
    found = fit_abstention(_cohort(np.linspace(0.6, 0.9, 200), [True] * 200))
    assert found is not None
    assert (found.threshold, found.coverage) == (0.6, 1.0)


def test_the_probability_of_failure_is_divided_by_the_steps_of_the_search():
    found = fit_abstention(_cohort(np.linspace(0.6, 0.9, 200), [True] * 200), confidence=0.9)
    assert found is not None
    assert found.bound == pytest.approx(1 - (0.1 / 8) ** (1 / 200))  # 200 thresholds, 8 steps
    # 40 correct answers bound the risk by 0.072 in one step, but only by 0.115 in six
    assert upper_bound(0, 40, 0.05) < 0.1
    assert fit_abstention(_cohort(np.linspace(0.6, 0.9, 40), [True] * 40)) is None


@pytest.mark.parametrize("rows", [0, 1, 20])
def test_nothing_is_promised_for_too_few_or_too_wrong_cases(rows):
    assert fit_abstention(_cohort(np.linspace(0.6, 0.9, rows), [True] * rows)) is None
    assert fit_abstention(_cohort(np.linspace(0.6, 0.9, 500), [False] * 500)) is None


def test_copies_of_a_lesion_are_no_evidence():
    few = np.full(20, 0.8)
    copies = _cohort(np.repeat(few, 20), [True] * 400, per_patient=20)
    assert fit_abstention(copies) is None
    assert len(one_per_patient(copies, 0)) == 20


def test_which_lesion_counts_does_not_depend_on_the_order_of_rows():
    cases = _cohort(np.linspace(0.5, 1, 40), [True] * 40, per_patient=4)
    turned = cases.select(np.arange(40)[::-1])
    chosen = [set(one_per_patient(t, 3).lesion_id) for t in (cases, turned)]
    assert chosen[0] == chosen[1]
    assert chosen[0] != set(one_per_patient(cases, 4).lesion_id)


@pytest.mark.parametrize("wrong", range(60, 90))
def test_the_threshold_is_the_lowest_that_can_be_guaranteed(wrong):
    confidence = np.linspace(0.6, 0.9, 200)
    found = fit_abstention(_cohort(confidence, np.arange(200) >= wrong))
    assert found is not None
    fits = [
        upper_bound(max(wrong - first, 0), 200 - first, 0.05 / 8) <= 0.1 for first in range(200)
    ]
    assert found.threshold == pytest.approx(confidence[fits.index(True)])
