import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import binary_calibration_error

from agfnet.metrics.calibration import (
    BINS,
    BRIER_PARTS,
    CENTRES,
    SQUARED,
    brier,
    brier_parts,
    certainty,
    class_ece,
    ece,
    ece_by_chance,
    ece_equal_mass,
    mass_bins,
    reliability,
    squared_errors,
)


def _certainty(probabilities, target):
    return certainty(probabilities, target)(np.ones(len(target)))


def test_mass_bins_hold_equally_many_and_never_part_equals():
    order, place = mass_bins(np.array([0.1, 0.9, 0.5, 0.5, 0.5, 0.2]), bins=3)
    assert order.tolist() == [0, 5, 2, 3, 4, 1]
    assert place(np.ones(6)).tolist() == [0, 0, 1, 1, 1, 2]
    assert place(np.array([1.0, 0, 0, 0, 0, 1])).tolist() == [0, 2, 2, 2, 2, 2]
    assert mass_bins(np.empty(0))[1](np.empty(0)).tolist() == []
    assert mass_bins(np.ones(2))[1](np.zeros(2)).tolist() == [0, 0]


def test_equal_mass_error_is_that_of_slices_of_the_sorted_cases(table):
    cohort = table(300)
    confidence = cohort.probabilities.max(axis=1)
    right = cohort.probabilities.argmax(axis=1) == cohort.target
    slices = np.array_split(np.argsort(confidence), 15)
    gaps = [abs(confidence[rows].mean() - right[rows].mean()) / 15 for rows in slices]
    found = ece_equal_mass(cohort.probabilities, cohort.target)
    assert found == pytest.approx(sum(gaps))


def test_classwise_error_agrees_with_torchmetrics(scored):
    probabilities, target = scored
    # torchmetrics computes in float32, where values at an edge change bin
    probabilities = probabilities * 0.99 + 0.01 / probabilities.shape[1]
    expected = [
        binary_calibration_error(
            torch.tensor(probabilities[:, c]), torch.tensor(target == c).int(), n_bins=15
        ).item()
        for c in range(probabilities.shape[1])
    ]
    found = class_ece(probabilities, target)(np.ones(len(target)))
    np.testing.assert_allclose(list(found.values()), expected, atol=1e-6)
    assert _certainty(probabilities, target)["classwise_ece"] == pytest.approx(
        np.mean(expected), abs=1e-6
    )


def test_the_parts_of_brier_add_up(scored):
    probabilities, target = scored
    for weights in (np.ones(len(target)), np.arange(len(target)) % 3 * 1.0):
        parts = brier_parts(probabilities, target)(weights)
        calibration, resolution, uncertainty = parts.values()
        whole = brier(probabilities, target, weights)
        assert calibration - resolution + uncertainty == pytest.approx(whole, abs=1e-12)
        assert calibration >= 0
        assert uncertainty >= 0


def test_the_parts_of_brier_by_hand():
    # Two forecasts for two classes: 0.2 for five cases, of which one is positive, and 0.8 for five
    # cases, of which three are. Murphy's terms of one class, twice, for the other mirrors it.
    p = np.repeat([0.2, 0.8], 5)
    target = np.array([1, 0, 0, 0, 0, 1, 1, 1, 0, 0])
    found = [_certainty(np.stack([1 - p, p], axis=1), target)[name] for name in BRIER_PARTS]
    calibration = 0.5 * (0.2 - 0.2) ** 2 + 0.5 * (0.8 - 0.6) ** 2
    resolution = 0.5 * (0.2 - 0.4) ** 2 + 0.5 * (0.6 - 0.4) ** 2
    np.testing.assert_allclose(found, [2 * calibration, 2 * resolution, 2 * 0.4 * 0.6])


def test_the_debiased_error_of_one_confidence_is_that_of_kumar():
    right = np.array([1, 1, 0, 1, 0, 1, 1, 1])
    probabilities = np.tile([0.5, 0.3, 0.2], (8, 1))
    share = right.mean()
    square = (0.5 - share) ** 2 - share * (1 - share) / 7
    found = _certainty(probabilities, 1 - right)
    assert found["ece_debiased"] == pytest.approx(np.sqrt(square))
    assert found[SQUARED[0]] == pytest.approx(square)
    noise = _certainty(probabilities, np.array([0, 0, 0, 0, 1, 1, 1, 1]))
    assert noise["ece_debiased"] == 0


def test_debiasing_leaves_nothing_of_a_calibrated_network():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        probabilities = rng.dirichlet(np.ones(3), 90)
        target = (rng.random((90, 1)) > probabilities.cumsum(axis=1)[:, :2]).sum(axis=1)
        values = _certainty(probabilities, target)
        found.append([values[name] for name in SQUARED])
    debiased, plain = np.mean(found, axis=0)
    assert plain > 0.02
    assert abs(debiased) < 4 * np.std([row[0] for row in found]) / 20
    assert abs(debiased) < 0.003


def test_the_error_by_chance_is_that_of_calibrated_networks():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(3), 200)
    errors = []
    for _ in range(300):
        target = (rng.random((200, 1)) > probabilities.cumsum(axis=1)[:, :2]).sum(axis=1)
        errors.append(ece(probabilities, target))
    mean, low, high = ece_by_chance(probabilities)
    assert mean == pytest.approx(np.mean(errors), abs=4 * np.std(errors) / np.sqrt(300))
    assert 0.9 < np.mean((low <= np.array(errors)) & (np.array(errors) <= high)) < 0.99
    assert mean > 0.03
    assert ece_by_chance(np.eye(3)) == (0, 0, 0)  # a calibrated network that is certain is right
    assert np.isnan(ece_by_chance(np.empty((0, 3)))).all()


def test_reflected_statistics_are_those_that_are_computed(table):
    cases = table(30)
    names = {"ece", *_certainty(cases.probabilities, cases.target)}
    assert {*CENTRES, *CENTRES.values()} <= names
    assert names - {*CENTRES} == {"ece_debiased", SQUARED[1]}


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


def test_the_interval_of_reliability_is_wilsons():
    right = np.array([1] * 8 + [0] * 2)
    found = reliability(np.tile([0.75, 0.25], (10, 1)), 1 - right)
    assert (found.low[7], found.high[7]) == pytest.approx((0.4902, 0.9433), abs=5e-5)
    assert np.isnan(found.low[0])


def test_a_bin_of_two_cases_has_a_variance_and_one_of_a_single_case_has_none():
    # gaps -0.4 and 0.6 of two equal confidences: sum 0.2, squares 0.52
    probabilities = np.array([[0.6, 0.4]] * 2)
    target = np.array([0, 1])
    found = squared_errors(probabilities, target)(np.ones(2))
    expected = {"squared_error_debiased": (0.04 - 0.52) / 2, "squared_error": 0.04 / 2 / 2}
    assert found == pytest.approx(expected)
    alone = squared_errors(probabilities, target)(np.array([1.0, 0.0]))
    assert np.isnan(list(alone.values())).all()
