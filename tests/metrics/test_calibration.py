import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import binary_calibration_error

from agfnet.metrics.calibration import (
    CERTAINTY,
    SQUARED,
    brier_parts,
    class_ece,
    ece_debiased,
    mass_bins,
)
from agfnet.metrics.summary import brier

PARTS = ("brier_reliability", "brier_resolution", "brier_uncertainty")


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
    found = CERTAINTY["ece_equal_mass"](cohort.probabilities, cohort.target)
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
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert CERTAINTY["classwise_ece"](probabilities, target) == pytest.approx(
        np.mean(expected), abs=1e-6
    )


def test_the_parts_of_brier_add_up(scored):
    probabilities, target = scored
    for weights in (np.ones(len(target)), np.arange(len(target)) % 3 * 1.0):
        reliability, resolution, uncertainty = brier_parts(probabilities, target)(weights)
        whole = brier(probabilities, target, weights)
        assert reliability - resolution + uncertainty == pytest.approx(whole, abs=1e-12)
        assert reliability >= 0
        assert uncertainty >= 0


def test_the_parts_of_brier_by_hand():
    # Two forecasts for two classes: 0.2 for five cases, of which one is positive, and 0.8 for five
    # cases, of which three are. Murphy's terms of one class, twice, for the other mirrors it.
    p = np.repeat([0.2, 0.8], 5)
    target = np.array([1, 0, 0, 0, 0, 1, 1, 1, 0, 0])
    found = [CERTAINTY[name](np.stack([1 - p, p], axis=1), target) for name in PARTS]
    reliability = 0.5 * (0.2 - 0.2) ** 2 + 0.5 * (0.8 - 0.6) ** 2
    resolution = 0.5 * (0.2 - 0.4) ** 2 + 0.5 * (0.6 - 0.4) ** 2
    np.testing.assert_allclose(found, [2 * reliability, 2 * resolution, 2 * 0.4 * 0.6])


def test_the_debiased_error_of_one_confidence_is_that_of_kumar():
    right = np.array([1, 1, 0, 1, 0, 1, 1, 1])
    probabilities = np.tile([0.5, 0.3, 0.2], (8, 1))
    share = right.mean()
    square = (0.5 - share) ** 2 - share * (1 - share) / 7
    assert ece_debiased(probabilities, 1 - right) == pytest.approx(np.sqrt(square))
    assert SQUARED["debiased"](probabilities, 1 - right) == pytest.approx(square)
    assert ece_debiased(probabilities, np.array([0, 0, 0, 0, 1, 1, 1, 1])) == 0  # noise alone


def test_debiasing_leaves_nothing_of_a_calibrated_network():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        probabilities = rng.dirichlet(np.ones(3), 90)
        target = (rng.random((90, 1)) > probabilities.cumsum(axis=1)[:, :2]).sum(axis=1)
        found.append([SQUARED[name](probabilities, target) for name in SQUARED])
    debiased, plain = np.mean(found, axis=0)
    assert plain > 0.02
    assert abs(debiased) < 4 * np.std([row[0] for row in found]) / 20
    assert abs(debiased) < 0.003
