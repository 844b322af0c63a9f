import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from agfnet.metrics.delong import area_interval, auc_interval, delong, influence


def _cases(count: int = 80, scores: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    positive = rng.random(count) < 0.4
    values = rng.normal(size=(scores, count)).round(1)  # with ties
    values[:, positive] += 0.6
    return values, positive


def _by_definition(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every positive against every negative, as DeLong et al. define the components."""
    x, y = scores[:, positive, None], scores[:, None, ~positive]
    wins = (x > y) + 0.5 * (x == y)
    covariance = np.cov(wins.mean(axis=2)) / x.shape[1] + np.cov(wins.mean(axis=1)) / y.shape[2]
    return wins.mean(axis=(1, 2)), covariance


def test_areas_and_covariance_are_those_of_the_definition():
    scores, positive = _cases()
    areas, covariance = delong(scores, positive)
    expected_areas, expected = _by_definition(scores, positive)
    np.testing.assert_allclose(areas, expected_areas)
    np.testing.assert_allclose(covariance, expected)
    for score, area in zip(scores, areas, strict=True):
        found = mannwhitneyu(score[positive], score[~positive]).statistic
        assert area == pytest.approx(found / positive.sum() / (~positive).sum())


def test_a_worked_example_by_hand():
    # Positives 3, 5; negatives 1, 4: three of four pairs are in order.
    areas, covariance = delong([[3, 5, 1, 4]], [1, 1, 0, 0])
    # Components 0.5, 1 and 1, 0.5: sample variances 0.125, each over 2.
    assert areas == pytest.approx([0.75])
    assert covariance.item() == pytest.approx(0.125)


def test_patients_of_one_lesion_change_nothing_and_copies_add_no_certainty():
    scores, positive = _cases()
    plain = delong(scores, positive)[1]
    names = [f"P{number}" for number in range(len(positive))]
    np.testing.assert_allclose(delong(scores, positive, names)[1], plain)
    many = np.repeat(scores, 4, axis=1), np.repeat(positive, 4)
    np.testing.assert_allclose(delong(*many, np.repeat(names, 4))[1], plain)
    assert (np.diag(delong(*many)[1]) < np.diag(plain) / 3).all()


def test_the_variance_of_clustered_cases_is_that_of_repeated_sampling():
    rng = np.random.default_rng(1)
    owner = np.repeat(np.arange(60), 3)
    areas, variances = [], []
    for _ in range(300):
        own = rng.normal(size=60)[owner]  # a patient's lesions resemble each other
        positive = rng.random(180) < 0.5
        score = own + positive + rng.normal(size=180)
        area, covariance = delong(score[None], positive, owner)
        areas.append(area[0])
        variances.append(covariance[0, 0])
    assert np.mean(variances) == pytest.approx(np.var(areas), rel=0.2)


def test_influence_sums_to_zero_and_its_squares_to_the_variance():
    scores, positive = _cases(400)
    areas, parts = influence(scores, positive)
    np.testing.assert_allclose(parts.sum(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(parts @ parts.T, delong(scores, positive)[1], rtol=0.02, atol=1e-6)
    np.testing.assert_allclose(areas, delong(scores, positive)[0])


def test_what_cannot_be_known_is_nan():
    assert np.isnan(delong([[0.1, 0.2]], [1, 1])[0]).all()
    areas, covariance = delong([[0.1, 0.2, 0.3]], [1, 0, 0])
    assert np.isfinite(areas).all()
    assert np.isnan(covariance).all()
    assert np.isnan(delong([[0.1, 0.2, 0.3, 0.4]], [1, 0, 1, 0], ["a"] * 4)[1]).all()


@pytest.mark.parametrize(
    ("scores", "positive", "patient"),
    [([0.1, 0.2], [0, 1], None), ([[0.1, 0.2]], [0], None), ([[np.nan, 1]], [0, 1], None),
     ([[0.1, 0.2]], [0, 1], ["a"])],
)  # fmt: skip
def test_contradictions_are_refused(scores, positive, patient):
    with pytest.raises(ValueError):
        delong(scores, positive, patient)


def test_the_interval_by_hand():
    # logit(0.8) = 1.3863, standard error 0.05 / 0.16 on that scale
    assert area_interval(0.8, 0.05**2) == pytest.approx((0.68434, 0.88067), abs=1e-5)


def test_the_interval_of_one_score_is_that_of_its_variance():
    scores, positive = _cases()
    areas, covariance = delong(scores, positive, np.arange(80) // 2)
    expected = (areas[1], *area_interval(areas[1], covariance[1, 1]))
    assert auc_interval(scores[1], positive, np.arange(80) // 2) == pytest.approx(expected)


def test_the_interval_stays_between_0_and_1():
    low, high = area_interval(0.98, 0.0009)
    assert 0.5 < low < 0.98 < high < 1
    for area, variance in ((0.0, 0.01), (1.0, 0.01), (0.5, 0.0), (1.0, 0.0)):
        assert np.isnan(area_interval(area, variance)).all()
    assert np.isnan(area_interval(0.7, float("nan"))).all()


def test_patients_with_positive_and_negative_lesions_have_the_variance_of_obuchowski():
    scores, positive = _cases(90, 2)
    owner = np.arange(90) // 3
    patients = range(30)
    x, y = scores[:, positive, None], scores[:, None, ~positive]
    wins = (x > y) + 0.5 * (x == y)
    area = wins.mean(axis=(1, 2))[:, None]
    components = wins.mean(axis=2) - area, wins.mean(axis=1) - area  # of positives, of negatives
    owners = owner[positive], owner[~positive]
    first, second = (
        np.stack([part[:, of == patient].sum(axis=1) for patient in patients], axis=1)
        for part, of in zip(components, owners, strict=True)
    )
    m, n, both = positive.sum(), (~positive).sum(), len(patients)
    with_first, with_second = (len(set(of)) for of in owners)
    expected = with_first / (with_first - 1) / m**2 * first @ first.T
    expected += with_second / (with_second - 1) / n**2 * second @ second.T
    mixed = both / (both - 1) / (m * n) * first @ second.T
    covariance = delong(scores, positive, owner)[1]
    np.testing.assert_allclose(covariance, expected + mixed + mixed.T, rtol=1e-12)


def test_shapes_that_contradict_each_other_are_refused():
    for scores, positive in (([0.1, 0.2], [1, 0]), ([[0.1, 0.2]], [1, 0, 1]), ([0.1, 0.2], [1])):
        with pytest.raises(ValueError, match="expected"):
            influence(scores, positive)
