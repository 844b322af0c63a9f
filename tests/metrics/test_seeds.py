import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit, ndtr
from scipy.stats import binom, rankdata, ttest_1samp
from scipy.stats import t as student

from agfnet.metrics.seeds import SMALLEST_P, Part, SeedMean, over_seeds, separate_cohorts

STUDIES = 250


def _left_out(cases: np.ndarray) -> np.ndarray:
    """Means (N, S) of cases (S, N) without each of them."""
    return ((cases.sum(axis=1, keepdims=True) - cases) / (cases.shape[1] - 1)).T


def _accuracy(correct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return correct.mean(axis=-1), np.stack([_left_out(method) for method in correct])


def _area(score: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUC (M, S) of scores (M, S, N), and without each case (M, N, S)."""
    wins, losses = positive.sum(), (~positive).sum()
    ranks = rankdata(score, axis=-1)
    beaten = np.empty_like(score)  # cases of the other class that are ranked on the right side
    for part, other in ((positive, 0), (~positive, wins)):
        within = ranks[..., part] - rankdata(score[..., part], axis=-1)
        beaten[..., part] = abs(other - within)
    pairs = beaten[..., positive].sum(axis=-1)
    without = np.where(positive, (wins - 1) * losses, wins * (losses - 1))
    return pairs / (wins * losses), np.swapaxes((pairs[..., None] - beaten) / without, 1, 2)


def _study(
    rng: np.random.Generator,
    *,
    seeds: int,
    patients: int,
    spread: float,
    metric: str = "accuracy",
    gain: float = 0.0,
) -> SeedMean:
    """Compare two methods: the first is better by `gain`, networks of a method vary by `spread`.

    A patient is easy or difficult for all networks, for all networks of a method, and for one
    network.
    """
    positive = rng.permutation(np.arange(patients) < 0.4 * patients)
    signal = 1 + np.array([[gain], [0.0]]) + rng.normal(0, spread, (2, seeds))
    score = signal[..., None] * np.where(positive, 1, -1) + rng.normal(0, 0.8, patients)
    score = score + rng.normal(0, 0.5, (2, 1, patients)) + rng.normal(0, 0.7, (2, seeds, patients))
    if metric == "accuracy":
        values, left_out = _accuracy(((score > 0) == positive).astype(float))
    else:
        values, left_out = _area(score, positive)
    return over_seeds(values[0] - values[1], left_out[0] - left_out[1])


@pytest.mark.slow
@pytest.mark.parametrize("patients", [30, 80, 400, 2000])
@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_equal_methods_are_rarely_found_different(seeds: int, patients: int) -> None:
    rng = np.random.default_rng([seeds, patients])
    found = dict.fromkeys((0.05, 0.01, 0.001), 0)
    studies = 0
    for metric, spread in product(("accuracy", "auc"), (0.0, 0.05, 0.3)):
        for _ in range(10 if seeds * patients > 3000 else 30):
            mean = _study(rng, seeds=seeds, patients=patients, spread=spread, metric=metric)
            studies += 1
            for level in found:
                _, low, high = mean.interval(1 - level)
                found[level] += low > 0 or high < 0
                assert math.isnan(mean.p()) == (seeds < 3)
                assert seeds < 3 or (mean.p() < level) == (low > 0 or high < 0)
    for level, count in found.items():
        assert count <= binom.ppf(0.999, studies, level)


def test_the_level_is_reached_where_seeds_dominate() -> None:
    rng = np.random.default_rng(0)
    p = [_study(rng, seeds=3, patients=2000, spread=0.6).p() for _ in range(STUDIES)]
    low, high = binom.ppf([0.001, 0.999], STUDIES, 0.05) / STUDIES
    assert low <= np.mean(np.array(p) < 0.05) <= high


@pytest.mark.parametrize(("seeds", "patients", "power"), [(5, 400, 0.8), (10, 80, 0.6)])
def test_a_better_method_is_found(seeds: int, patients: int, power: float) -> None:
    rng = np.random.default_rng(1)
    studies = [_study(rng, seeds=seeds, patients=patients, spread=0.1, gain=0.4) for _ in range(50)]
    assert np.mean([mean.p() < 0.05 for mean in studies]) > power


@pytest.mark.parametrize("seeds", [1, 2, 3, 5])
def test_new_seeds_never_make_it_more_certain(seeds: int) -> None:
    rng = np.random.default_rng(2)
    for _ in range(100):
        spread = rng.choice([0.0, 0.01, 0.3])
        mean = _study(rng, seeds=seeds, patients=40, spread=spread)
        alone = SeedMean(
            value=mean.value, networks=seeds, patients=mean.patients, bounds=((mean.patients,),)
        )
        assert mean.interval().low <= alone.interval().low
        assert mean.interval().high >= alone.interval().high
        if seeds >= 3:
            assert mean.p() >= mean.p_networks()
        else:
            assert math.isnan(mean.p())
            assert math.isnan(mean.p_equivalent(0.5))
            assert 0 < mean.p_networks() <= 1


def test_agreeing_seeds_are_not_taken_for_certain() -> None:
    # an issue of the former statistics: two seeds that agree to four digits, 30 patients
    rng = np.random.default_rng(3)
    correct = rng.random(30) < 0.25
    cases = np.stack([correct, correct]).astype(float)
    interval = over_seeds(cases.mean(axis=1), _left_out(cases)).interval(low=0, high=1)
    expected = student.ppf(0.975, 29) * np.std(correct, ddof=1) / np.sqrt(30)
    assert interval.high - interval.value >= expected


def test_both_parts_by_hand() -> None:
    mean = SeedMean(
        value=0.3,
        networks=3,
        patients=Part(0.01, 20),
        bounds=((Part(0.01, 20),), (Part(0.008, 20), Part(0.002, 2))),
    )
    half = np.sqrt(0.008 * student.ppf(0.975, 20) ** 2 + 0.002 * student.ppf(0.975, 2) ** 2)
    assert mean.interval() == pytest.approx((0.3, 0.3 - half, 0.3 + half))
    p = mean.p()
    low, _ = mean.interval(1 - p)[1:]
    assert low == pytest.approx(0, abs=1e-9)  # p is the level whose interval ends at 0


def test_the_variances_of_seeds_on_the_same_patients_by_hand() -> None:
    """The jackknife's covariance between seeds is what new patients change in all of them."""
    rng = np.random.default_rng(0)
    left_out = rng.normal(size=(30, 1)) + 0.5 * rng.normal(size=(30, 3))
    values = np.array([0.1, 0.3, 0.8])
    covariance = np.cov(left_out.T) * 29**2 / 30
    common = (covariance[0, 1] + covariance[0, 2] + covariance[1, 2]) / 3
    mean = over_seeds(values, left_out)
    (patients,), (shared, between) = mean.bounds
    assert patients.variance == pytest.approx(covariance.mean())
    assert shared.variance == pytest.approx(common)
    assert between == (pytest.approx(np.var(values, ddof=1) / 3), 2)


def test_intervals_are_clipped() -> None:
    mean = SeedMean(value=0.9, networks=3, patients=Part(0.1, 5), bounds=((Part(0.1, 5),),))
    assert mean.interval(low=0, high=1).high == 1
    assert mean.interval(low=0.8).low == 0.8
    assert mean.interval().high > 1


def test_intervals_of_metrics_stay_in_range() -> None:
    variance = Part(0.001, 30)
    mean = SeedMean(value=0.9, networks=1, patients=variance, bounds=((variance,),))
    half = student.ppf(0.975, 30) * np.sqrt(0.001)
    ends = expit(logit(0.9) + np.array([-half, half]) / (0.9 * 0.1))
    assert mean.interval_in_range() == pytest.approx((0.9, *ends))
    wide = mean.interval_in_range(high=2.0)  # further from the end of the range: symmetric
    assert wide.high - 0.9 == pytest.approx(half, rel=0.05)
    unbounded = mean.interval_in_range(high=math.inf)
    assert unbounded == pytest.approx((0.9, 0.9 * np.exp(-half / 0.9), 0.9 * np.exp(half / 0.9)))
    unsure = Part(1.0, 1)
    mean = SeedMean(value=0.9, networks=2, patients=unsure, bounds=((unsure,),))
    assert mean.interval_in_range() == pytest.approx((0.9, 0, 1))
    certain = SeedMean(value=1.0, networks=2, patients=Part(0.0, 5), bounds=((Part(0.0, 5),),))
    assert np.isnan(certain.interval_in_range()[1:]).all()


def test_intervals_of_a_high_auc_contain_it_with_few_patients() -> None:
    rng = np.random.default_rng(10)
    positive = np.arange(30) < 12
    missed = 0
    for _ in range(STUDIES):
        score = np.where(positive, 2.1, 0) + rng.normal(size=(1, 5, 30)) / np.sqrt(2)
        score += rng.normal(size=30) / np.sqrt(2)
        values, left_out = _area(score, positive)
        _, low, high = over_seeds(values[0], left_out[0]).interval_in_range()
        missed += not low <= ndtr(2.1 / np.sqrt(2)) <= high
    assert missed <= binom.ppf(0.999, STUDIES, 0.05)


def test_separate_cohorts_are_students_test() -> None:
    rng = np.random.default_rng(4)
    cohorts = [rng.normal(0, 0.001, (1, patients)) for patients in (40, 50, 40, 60)]
    values = np.array([0.02, 0.05, -0.01, 0.03]) + [cases.mean() for cases in cohorts]
    left_out = [v + (_left_out(c) - c.mean())[:, 0] for v, c in zip(values, cohorts, strict=True)]
    mean = over_seeds(values, separate_cohorts(values, left_out))
    expected = ttest_1samp(values, 0)
    assert mean.p() == pytest.approx(expected.pvalue, rel=1e-3)
    variance = sum(np.var(cases, ddof=1) / cases.size for cases in cohorts) / 16
    assert mean.patients.variance == pytest.approx(variance, rel=0.05)
    assert mean.p_networks() < mean.p()


def test_degrees_of_freedom_count_the_patients_who_matter() -> None:
    rng = np.random.default_rng(5)
    everyone = rng.normal(size=(1, 1000))
    assert over_seeds(everyone.mean(axis=1), _left_out(everyone)).patients.freedom > 800
    few = np.zeros((1, 1000))
    few[0, :3] = 1, -1, 1
    assert over_seeds(few.mean(axis=1), _left_out(few)).patients.freedom == pytest.approx(6, abs=1)


def test_folds_add_the_corrected_resampled_t_test() -> None:
    rng = np.random.default_rng(6)
    cases = rng.normal(0, 0.1, (3, 200))
    runs = rng.normal(0.2, 0.2, (3, 5))
    mean = over_seeds(cases.mean(axis=1), _left_out(cases), runs=runs)
    plain = over_seeds(cases.mean(axis=1), _left_out(cases))
    variance = np.var(runs, ddof=1) * (1 / 15 + 1 / 4)
    half = student.ppf(0.975, 14) * np.sqrt(variance)
    assert mean.interval().high - mean.value == pytest.approx(half)
    assert mean.p() > plain.p()


def test_one_seed_of_folds_has_a_p_and_folds_without_a_value_are_ignored() -> None:
    rng = np.random.default_rng(7)
    cases = rng.normal(0, 0.1, (1, 200))
    runs = rng.normal(0.2, 0.2, (1, 5))
    value, left_out = cases.mean(axis=1), _left_out(cases)
    half = student.ppf(0.975, 4) * np.sqrt(np.var(runs, ddof=1) * (1 / 5 + 1 / 4))
    mean = over_seeds(value, left_out, runs=runs)
    assert mean.interval().high - mean.value == pytest.approx(half)
    assert mean.p() > mean.p_networks()
    runs[0, 0] = math.nan
    half = student.ppf(0.975, 3) * np.sqrt(np.nanvar(runs, ddof=1) * (1 / 4 + 1 / 4))
    mean = over_seeds(value, left_out, runs=runs)
    assert mean.interval().high - mean.value == pytest.approx(half)
    runs[0, :3] = math.nan  # two networks are left
    assert math.isnan(over_seeds(value, left_out, runs=runs).p())


def test_practically_the_same() -> None:
    rng = np.random.default_rng(7)
    cases = rng.normal(0.001, 0.02, (5, 400))
    mean = over_seeds(cases.mean(axis=1), _left_out(cases))
    low, high = mean.interval(0.9)[1:]
    margin = max(-low, high)
    assert mean.p_equivalent(margin) == pytest.approx(0.05, abs=1e-6)
    assert mean.p_equivalent(2 * margin) < 0.05 < mean.p_equivalent(margin / 2)
    assert mean.p_equivalent(abs(mean.value) / 2) > 0.5


@pytest.mark.parametrize("margin", [0.5, 0.02])
def test_differences_of_the_margin_are_rarely_called_the_same(margin: float) -> None:
    rng = np.random.default_rng(8)
    spread = margin / 4
    p = []
    for _ in range(STUDIES):
        seeds = rng.normal(margin, spread, (3, 1))
        cases = seeds + rng.normal(0, spread * 5, 100) + rng.normal(0, spread, (3, 100))
        p.append(over_seeds(cases.mean(axis=1), _left_out(cases)).p_equivalent(margin))
    assert np.mean(np.array(p) < 0.05) <= binom.ppf(0.999, STUDIES, 0.05) / STUDIES


@pytest.mark.parametrize("values", [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
def test_without_any_variance(values: list[float]) -> None:
    mean = over_seeds(np.array(values), np.tile(values, (10, 1)))
    assert mean.value == values[0]
    assert np.isnan(mean.interval()[1:]).all()
    assert mean.p() == 1 if values[0] == 0 else math.isnan(mean.p())


@pytest.mark.parametrize(
    ("values", "left_out"),
    [
        (np.zeros(0), np.zeros((10, 0))),
        (np.ones(3), np.full((10, 3), np.nan)),
        (np.ones(3), np.ones((1, 3))),
    ],
)
def test_undefined(values: Any, left_out: Any) -> None:
    mean = over_seeds(values, left_out)
    assert np.isnan([*mean.interval()[1:], mean.p(), mean.p_networks()]).all()


def test_extreme_differences_have_a_p() -> None:
    cases = np.random.default_rng(9).normal(1, 1e-9, (5, 400))
    assert over_seeds(cases.mean(axis=1), _left_out(cases)).p() >= SMALLEST_P


def test_patients_of_equal_influence_have_one_degree_of_freedom_less_than_their_number() -> None:
    rows = np.array([[1.0], [-1.0]] * 20)
    assert over_seeds(np.zeros(1), rows).patients.freedom == 39
    uneven = np.array([[1.0], [-1.0]] * 20 + [[1.001], [-1.001]])
    assert over_seeds(np.zeros(1), uneven).patients.freedom == 41


def test_a_p_is_at_most_1() -> None:
    mean = SeedMean(value=0.9, networks=3, patients=Part(0.01, 20), bounds=((Part(0.01, 20),),))
    assert 0.99 < mean.p_equivalent(0.1) <= 1
