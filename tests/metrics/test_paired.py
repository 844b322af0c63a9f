import numpy as np
import pytest
from scipy.stats import binom, permutation_test, ttest_rel

from agfnet.metrics.delong import influence
from agfnet.metrics.metric import Floats, Statistics, together, weighted_mean
from agfnet.metrics.paired import (
    CASEWISE,
    area_parts,
    area_test,
    casewise,
    holm,
    paired_jackknife,
    permutation_p,
)
from agfnet.metrics.summary import METRICS, summary

STUDIES = 300
LOW, HIGH = binom.ppf([0.001, 0.999], STUDIES, 0.05) / STUDIES


def _differences(rng: np.random.Generator, patients: int) -> tuple[np.ndarray, np.ndarray]:
    """Difference (N,) of the correct answers of two equal networks, and owners (N,)."""
    owner = np.repeat(np.arange(patients), 2)  # two lesions that resemble each other
    easy = rng.normal(0.8, 1, patients)[owner] + rng.normal(0, 0.7, len(owner))
    correct = easy + rng.normal(0, 0.6, (2, len(owner))) > 0
    return correct[0].astype(float) - correct[1], owner


def test_permutation_finds_equals_different_once_in_twenty_with_several_lesions():
    rng = np.random.default_rng(2)
    p = []
    for trial in range(STUDIES):
        difference, owner = _differences(rng, patients=60)
        p.append(permutation_p(difference, owner, permutations=199, seed=trial))
    assert LOW <= np.mean(np.array(p) < 0.05) <= HIGH


def test_permutation_is_that_of_scipy_over_patients():
    rng = np.random.default_rng(3)
    owner = np.repeat(np.arange(9), 2)
    difference = rng.normal(0.4, 1, 18)
    sums = np.bincount(owner, difference)
    exact = permutation_test(
        (sums, np.zeros(9)),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    )
    assert permutation_p(difference, owner) == pytest.approx(exact.pvalue, abs=0.02)


def test_the_p_of_permutations_is_never_0():
    # of 2**40 exchanges only two are as extreme, which 99 random ones do not meet
    assert permutation_p(np.ones(40), np.arange(40), permutations=99) == pytest.approx(1 / 100)


def test_permutation_of_no_difference():
    assert permutation_p(np.zeros(5), np.arange(5)) == 1


@pytest.mark.parametrize("name", CASEWISE)
def test_casewise_values_have_the_metric_as_their_mean(name, scored):
    probabilities, target = scored
    expected = METRICS[name](probabilities, target)
    assert casewise(name, probabilities, target).mean() == pytest.approx(expected)


def test_delong_on_clusters_finds_equals_different_once_in_twenty():
    rng = np.random.default_rng(4)
    owner = np.repeat(np.arange(80), 2)
    p = []
    for _ in range(STUDIES):
        target = rng.integers(3, size=160)
        common = 1.2 * np.eye(3)[target] + rng.normal(size=(80, 3))[owner]
        a, b = (np.exp(common + rng.normal(0, 0.8, (160, 3))) for _ in range(2))
        a, b = (x / x.sum(axis=1, keepdims=True) for x in (a, b))
        value = METRICS["macro_auc"](a, target) - METRICS["macro_auc"](b, target)
        p.append(area_test(value, area_parts(a, target) - area_parts(b, target), owner).p)
    assert LOW <= np.mean(np.array(p) < 0.05) <= HIGH


def test_holm_by_hand():
    # 0.01 x 4, 0.02 x 3, then 0.03 x 2 and 0.04 x 1, which may not fall below what came before
    np.testing.assert_allclose(holm([0.04, 0.01, 0.03, 0.02]), [0.06, 0.04, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.6, 0.9]), [1, 1])
    np.testing.assert_allclose(holm([0.01, np.nan, 0.04]), [0.02, np.nan, 0.04])
    assert len(holm([])) == 0


def test_the_interval_of_delong_by_hand():
    """Three patients, one with two lesions; 1.96 standard errors on both sides."""
    found = area_test(0.1, np.array([0.02, 0.01, -0.01, -0.02]), [0, 0, 1, 2])
    error = np.sqrt((0.03**2 + 0.01**2 + 0.02**2) * 3 / 2)
    half = 1.959963985 * error
    assert (found.low, found.high) == pytest.approx((0.1 - half, 0.1 + half))
    narrow = area_test(0.1, np.array([0.02, 0.01, -0.01, -0.02]), [0, 0, 1, 2], level=0.8)
    assert narrow.high - narrow.value == pytest.approx(1.281551566 * error)
    assert area_test(0.1, np.array([0.02, 0.01, -0.01, -0.02]), [0, 0, 1, 2], level=0.95) == found


def test_a_class_of_one_case_counts_in_the_area():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), 9)
    target = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2])
    parts = [influence(probabilities[:, c][None], target == c)[1][0] for c in range(3)]
    found = area_parts(probabilities, target)
    np.testing.assert_allclose(found, np.mean(parts, axis=0))
    # a class of all cases or of none has no area
    np.testing.assert_allclose(
        area_parts(probabilities[:, [0, 1, 1, 2]], np.where(target == 2, 3, target)),
        np.mean([parts[0], parts[1], parts[2]], axis=0),
    )
    assert np.isnan(area_parts(probabilities, np.zeros(9, dtype=int))).all()


def test_the_same_predictions_have_no_difference_in_area():
    assert area_test(0.0, np.zeros(4), [0, 0, 1, 2]) == (0, 0, 0, 1)
    assert np.isnan(area_test(1.0, np.zeros(4), [0, 0, 1, 2])[1:]).all()


def _accuracy(correct: Floats) -> Statistics[str]:
    return together({"x": weighted_mean(correct)})


def _names(patients: int) -> list[str]:
    return [f"P{number}" for number in range(patients)]


def test_a_better_network_is_found_better_and_the_same_is_found_the_same():
    rng = np.random.default_rng(0)
    weak = rng.random(200) < 0.5
    strong = weak | (rng.random(200) < 0.4)
    found = paired_jackknife(_names(200), _accuracy(strong), _accuracy(weak))["x"]
    expected = ttest_rel(strong * 1.0, weak * 1.0)
    assert found.value == pytest.approx(strong.mean() - weak.mean())
    assert 0 < found.low < found.value < found.high
    assert found.p == pytest.approx(expected.pvalue, rel=0.1)
    same = paired_jackknife(_names(200), _accuracy(weak), _accuracy(weak))["x"]
    assert same.value == 0
    assert same.p == 1
    assert np.isnan(same[1:3]).all()


def test_the_same_difference_in_all_patients_has_no_p():
    found = paired_jackknife(_names(50), _accuracy(np.ones(50)), _accuracy(np.zeros(50)))["x"]
    assert found.value == 1
    assert np.isnan(found[1:]).all()


@pytest.mark.parametrize("cases", [7, 13, 50, 101])
def test_rounding_errors_are_no_variance(cases: int):
    """Every case has the same difference, apart from the last digits."""
    target = np.arange(cases) % 2
    sure, less = (np.where(np.eye(2)[target] > 0, p, 1 - p) for p in (0.9, 0.8))
    patients = [str(row) for row in range(cases)]
    found = paired_jackknife(patients, summary(sure, target), summary(less, target))
    for name in ("nll", "brier", "ece"):
        assert found[name].value < 0
        assert np.isnan(found[name][1:]).all(), name


def test_the_lesions_of_a_patient_are_left_out_together():
    rng = np.random.default_rng(4)
    a, b = (rng.random(40) < 0.6 for _ in range(2))
    once = paired_jackknife(_names(40), _accuracy(a), _accuracy(b))["x"]
    twice = paired_jackknife(_names(40) * 2, _accuracy(np.tile(a, 2)), _accuracy(np.tile(b, 2)))[
        "x"
    ]
    assert twice == pytest.approx(once)


@pytest.mark.slow
@pytest.mark.parametrize("patients", [15, 30])
def test_equal_networks_are_rarely_found_different_with_few_patients(patients: int):
    rng = np.random.default_rng(patients)
    counts = dict.fromkeys(METRICS, 0)
    for _ in range(100):
        target = rng.permutation(np.arange(patients) % 3)
        easy = rng.normal(0, 0.8, (patients, 3)) + 1.3 * np.eye(3)[target]
        tables = np.exp(easy + rng.normal(0, 0.9, (2, patients, 3)))
        a, b = (summary(p / p.sum(axis=1, keepdims=True), target) for p in tables)
        for metric, found in paired_jackknife(_names(patients), a, b).items():
            counts[metric] += found.p < 0.05
    assert max(counts.values()) <= binom.ppf(0.9999, 100, 0.05)  # of ten metrics
    assert max(counts.values()) >= 1
