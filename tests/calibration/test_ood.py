import dataclasses

import numpy as np

from agfnet.calibration.ood import fit_familiarity, fit_threshold, fit_thresholds


def _scored(table, scores, seed=0):
    return dataclasses.replace(table(len(scores), seed=seed), ood_score=np.array(scores))


def test_the_threshold_lets_the_asked_share_pass(table):
    scores = np.random.default_rng(0).permutation(99).astype(float)
    found = fit_threshold(_scored(table, scores), ood_rate=0.05)
    assert found == 94  # the 95th of 99
    assert fit_threshold(_scored(table, scores[:10]), ood_rate=0.05) is None
    assert fit_threshold(table(30)) is None


def test_rounding_errors_of_a_constant_score_are_no_threshold(table):
    noise = 1e-7 * np.random.default_rng(0).normal(size=99)
    assert fit_threshold(_scored(table, noise)) is None
    assert fit_threshold(_scored(table, noise - 3)) is None


def test_familiarity_is_a_gaussian_with_correlations_reduced_by_a_twentieth():
    values = np.random.default_rng(0).normal([1, 2], [1, 3], (40, 2))
    values[:, 1] += values[:, 0]
    models = fit_familiarity({"clinical": values, "ultrasound": values[:19]})
    assert list(models) == ["clinical"]  # the others are too few
    covariance = np.cov(values.T)
    covariance[[0, 1], [1, 0]] *= 0.95
    expected = np.linalg.inv(covariance + 0.01 * np.eye(2))
    np.testing.assert_allclose(models["clinical"].precision, expected)
    np.testing.assert_allclose(models["clinical"].mean, values.mean(axis=0))


def test_thresholds_divide_the_rate_of_warnings_over_the_modalities(table):
    rng = np.random.default_rng(0)
    clinical, few = rng.permutation(199) + 1.0, np.full(199, np.nan)
    few[:25] = rng.permutation(25) + 1.0
    cases = dataclasses.replace(
        table(199), distances={"clinical": clinical, "ultrasound": few, "third": few[::-1] / few}
    )
    models = fit_familiarity(
        dict.fromkeys(("clinical", "ultrasound", "third", "fourth"), rng.normal(size=(20, 2)))
    )
    found = fit_thresholds(models, cases, ood_rate=0.08)
    assert found is not None
    # 196 = 0.98 of 199 + 1; 25 patients cannot bound 2 %, so their largest distance has to do;
    # no case has the third modality, and no distance is known of the fourth
    assert {name: model.threshold for name, model in found.items()} == {
        "clinical": 196,
        "ultrasound": 25,
    }
    assert fit_thresholds({}, cases) is None
