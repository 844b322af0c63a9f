import numpy as np
import pytest
from scipy.stats import binom, permutation_test, ttest_1samp
from scipy.stats import t as student

from agfnet.metrics.paired import (
    CASEWISE,
    area_parts,
    area_test,
    casewise,
    holm,
    over_seeds,
    permutation_p,
)
from agfnet.metrics.summary import METRICS

STUDIES = 300
LOW, HIGH = binom.ppf([0.001, 0.999], STUDIES, 0.05) / STUDIES


def _study(
    rng: np.random.Generator, *, seeds: int, patients: int, shared: bool = True, gain: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Difference (S, N) of right answers of two methods, owners (N,), resampled means (R, S).

    Patients have two lesions that resemble each other; a network is better or worse by its seed,
    and the first method better by `gain`.
    """
    owner = np.repeat(np.arange(patients), 2)
    cohorts = 1 if shared else seeds
    easy = rng.normal(0.8, 1, (cohorts, patients))[:, owner]
    easy = easy + rng.normal(0, 0.7, (cohorts, len(owner)))
    luck = rng.normal([[gain], [0]], 0.15, (2, seeds))[:, :, None]
    right = easy + luck + rng.normal(0, 0.6, (2, seeds, len(owner))) > 0
    difference = right[0].astype(float) - right[1]
    drawn = rng.multinomial(patients, np.ones(patients) / patients, (cohorts, 100))[..., owner]
    if shared:
        draws = drawn[0] @ difference.T / len(owner)
    else:
        draws = np.einsum("srn,sn->rs", drawn, difference) / len(owner)
    return difference, owner, draws


@pytest.mark.parametrize(
    ("seeds", "shared"), [(3, True), (5, True), (3, False)], ids=["3", "5", "own cohorts"]
)
def test_equal_methods_are_found_different_once_in_twenty(seeds, shared):
    rng = np.random.default_rng(seeds)
    p = []
    for _ in range(STUDIES):
        difference, _, draws = _study(rng, seeds=seeds, patients=80, shared=shared)
        p.append(over_seeds(difference.mean(axis=1), draws, shared=shared).p)
    assert LOW <= np.mean(np.array(p) < 0.05) <= HIGH


def test_resampling_seeds_instead_finds_differences_between_equals():
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(STUDIES):
        _, _, draws = _study(rng, seeds=3, patients=250)
        chosen = rng.integers(3, size=draws.shape)
        drawn = np.take_along_axis(draws, chosen, axis=1).mean(axis=1)
        wrong += min((drawn <= 0).mean(), (drawn >= 0).mean()) < 0.025
    assert wrong / STUDIES > HIGH


def test_a_better_method_is_found():
    rng = np.random.default_rng(1)
    difference, _, draws = _study(rng, seeds=5, patients=400, gain=1.0)
    found = over_seeds(difference.mean(axis=1), draws)
    assert 0 < found.low < found.value < found.high
    assert found.p < 0.01


def test_seeds_with_cohorts_of_their_own_are_students_test():
    values = np.array([0.02, 0.05, -0.01, 0.03])
    draws = np.random.default_rng(0).normal(size=(50, 4))
    expected = ttest_1samp(values, 0)
    found = over_seeds(values, draws, shared=False)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()))


def test_one_seed_leaves_the_patients():
    draws = np.random.default_rng(0).normal(0.1, 0.05, (4000, 1))
    found = over_seeds(np.array([0.1]), draws)
    assert (found.low, found.high) == pytest.approx((0.002, 0.198), abs=0.005)


def test_shared_patients_add_the_covariance_of_the_seeds():
    # Obuchowski and Rockette by hand: seeds vary by 0.02 / 2, their draws share a variance of 0.03
    drawn = np.sqrt(0.03) * np.array([1.0, -1.0, 1.0, -1.0]) * np.sqrt(3 / 4)
    found = over_seeds(np.array([0.0, 0.2]), np.stack([drawn, drawn], axis=1))
    variance, freedom = 0.01 + 0.03, (0.01 + 0.03) ** 2 / 0.01**2
    half = student.ppf(0.975, freedom) * np.sqrt(variance)
    assert (found.low, found.high) == pytest.approx((0.1 - half, 0.1 + half))
    assert found.p == pytest.approx(2 * student.sf(0.1 / np.sqrt(variance), freedom))
    apart = over_seeds(np.array([0.0, 0.2]), np.stack([drawn, -drawn], axis=1))
    assert apart.high - apart.low == pytest.approx(2 * student.ppf(0.975, 1) * 0.1)  # not below 0


def test_seeds_without_any_variance():
    assert over_seeds(np.zeros(3), np.zeros((10, 3))) == (0, 0, 0, 1)
    value, *interval_and_p = over_seeds(np.ones(3), np.zeros((10, 3)))
    assert value == 1
    assert np.isnan(interval_and_p).all()
    assert np.isnan(over_seeds(np.zeros(0), np.zeros((10, 0))).value)
    assert np.isnan(over_seeds(np.ones(2), np.full((10, 2), np.nan)).p)


def test_permutation_finds_equals_different_once_in_twenty_with_several_lesions():
    rng = np.random.default_rng(2)
    p = []
    for trial in range(STUDIES):
        difference, owner, _ = _study(rng, seeds=1, patients=60)
        luckless = difference[0] * rng.choice([-1, 1], 60)[owner]  # no seed effect: true equals
        p.append(permutation_p(luckless, owner, permutations=199, seed=trial))
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
    np.testing.assert_allclose(holm([0.5, 0.9]), [1, 1])
    np.testing.assert_allclose(holm([0.01, np.nan, 0.04]), [0.02, np.nan, 0.04])
    assert len(holm([])) == 0
