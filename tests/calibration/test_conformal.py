import numpy as np
import pytest
from mapie.classification import SplitConformalClassifier
from mapie.conformity_scores import APSConformityScore
from sklearn.base import BaseEstimator, ClassifierMixin

from agfnet.calibration.conformal import fit_sets, patient_quantile
from agfnet.inference.postprocessing import prediction_set, set_scores


class Stated(ClassifierMixin, BaseEstimator):
    """A network whose images are its probabilities."""

    def fit(self, X, y=None):
        self.classes_ = np.arange(X.shape[1])
        return self

    def __sklearn_is_fitted__(self):
        return True

    def predict_proba(self, X):
        return X

    def predict(self, X):
        return X.argmax(axis=1)


class Steady(APSConformityScore):
    """MAPIE's score with the upper end of its random number: what is more probable, and no more."""

    def get_conformity_scores(self, y, y_pred, y_enc=None, **kwargs):
        reached, self.cutoff = self.get_true_label_cumsum_proba(y, y_pred, self.classes)
        return reached - np.take_along_axis(y_pred, y_enc[:, None], axis=1)


@pytest.mark.parametrize(
    ("score", "oracle", "options"),
    [("lac", "lac", {}), ("aps", Steady(), {"include_last_label": True})],
)
@pytest.mark.parametrize("coverage", [0.7, 0.9, 0.95])
def test_sets_are_those_of_mapie_with_one_lesion_per_patient(
    table, score, oracle, options, coverage
):
    held, new = table(97, seed=1), table(200, seed=2)
    network = Stated().fit(held.probabilities)
    fitted = SplitConformalClassifier(network, confidence_level=coverage, conformity_score=oracle)
    fitted.conformalize(held.probabilities, held.target)
    _, expected = fitted.predict_set(new.probabilities, conformity_score_params=options)
    sets = fit_sets(held, score=score, coverage=coverage, consider=1.0)
    found = prediction_set(new.probabilities, sets)
    expected = expected[:, :, 0]
    if score == "lac":  # ours is never empty
        assert found[~expected.any(axis=1)].any(axis=1).all()
        found, expected = found[expected.any(axis=1)], expected[expected.any(axis=1)]
    else:
        expected[np.arange(200), new.probabilities.argmax(axis=1)] = True
    np.testing.assert_array_equal(found, expected)


def test_scores_by_hand():
    p = np.array([[0.5, 0.1, 0.4], [0.25, 0.5, 0.25]])
    np.testing.assert_allclose(set_scores(p, score="lac"), 1 - p)
    np.testing.assert_allclose(set_scores(p, score="aps"), [[0, 0.9, 0.5], [0.5, 0, 0.5]])
    np.testing.assert_allclose(
        set_scores(p, score="raps", penalty=0.3, rank=1), [[0, 1.5, 0.8], [0.8, 0, 0.8]]
    )


def test_scores_do_not_depend_on_the_order_of_the_classes(scored):
    probabilities, _ = scored
    turned = np.arange(probabilities.shape[1])[::-1]
    for score in ("aps", "raps"):
        found = set_scores(probabilities[:, turned], score=score, penalty=0.1, rank=1)
        expected = set_scores(probabilities, score=score, penalty=0.1, rank=1)
        np.testing.assert_allclose(found, expected[:, turned])


def test_the_quantile_of_lesions_is_the_rank_of_split_conformal():
    scores = np.random.default_rng(0).permutation(19) + 1.0
    ids = np.arange(19)
    assert patient_quantile(scores, ids, 0.9) == 18  # ceil(20 * 0.9)-th smallest
    assert patient_quantile(scores, ids, 0.95) == 19
    assert patient_quantile(scores, ids, 0.951) is None
    assert patient_quantile(np.empty(0), [], 0.9) is None
    assert patient_quantile(scores[:9], ids[:9], 0.9) == scores[:9].max()
    assert patient_quantile(scores[:8], ids[:8], 0.9) is None


def test_many_lesions_of_a_patient_count_as_one():
    # a: 1, 2, 3, 4 with a quarter each; b: 5; c: 6; half of 3 + 1 patients is reached at b
    scores, ids = np.array([1.0, 2, 3, 4, 5, 6]), ["a", "a", "a", "a", "b", "c"]
    assert patient_quantile(scores, ids, 0.5) == 5
    assert patient_quantile(scores, ids, 0.25) == 4
    assert patient_quantile(scores, ids, 0.2) == 4  # 0.8 of the quarters of a
    assert patient_quantile(scores, ids, 0.75) == 6
    assert patient_quantile(scores, ids, 0.8) is None


def test_repeating_every_lesion_of_a_patient_changes_nothing(table):
    cohort = table(60)
    many = cohort.select(np.repeat(np.arange(60), 3))
    for score in ("lac", "aps", "raps"):
        once, thrice = (fit_sets(t, score=score).quantiles for t in (cohort, many))
        assert once == pytest.approx(thrice)


@pytest.mark.parametrize("score", ["lac", "aps", "raps"])
@pytest.mark.parametrize("by_class", [False, True])
def test_too_few_cases_keep_every_class(table, score, by_class):
    found = fit_sets(table(8), score=score, by_class=by_class)
    assert found.quantiles == (None,) * 4
    assert prediction_set(table(5).probabilities, found).all()
    assert fit_sets(table(0), score=score, by_class=by_class).quantiles == (None,) * 4


def _cohort(table, seed, patients=60):
    """Lesions of a patient that are nearly copies: the first of four, a little changed."""
    first = table(patients, 3, seed=seed)
    rng = np.random.default_rng(seed)
    rows = np.repeat(np.arange(patients), rng.integers(1, 5, patients))
    return first.select(rows)


@pytest.mark.slow
@pytest.mark.parametrize("score", ["lac", "raps"])
def test_sets_cover_a_new_patient_as_often_as_promised(table, score):
    new = table(20000, 3, seed=999)
    rows = np.arange(len(new))
    covered = []
    for seed in range(60):
        sets = fit_sets(
            _cohort(table, seed), score=score, coverage=0.8, penalty=0.3, rank=1, consider=1
        )
        covered.append(prediction_set(new.probabilities, sets)[rows, new.target].mean())
    assert 0.78 <= np.mean(covered) <= 0.84


def test_sets_by_class_cover_every_class(table):
    new = table(20000, ("a", "b", "c"), seed=999)

    # the network favours a: without quantiles of their own b and c are covered less
    def tilted(cohort):
        shares = cohort.probabilities * [2, 1, 1]
        fields = {name: getattr(cohort, name) for name in cohort.__dataclass_fields__}
        shares = shares / shares.sum(axis=1, keepdims=True)
        return type(cohort)(**(fields | {"probabilities": shares}))

    new = tilted(new)
    covered = {True: [], False: []}
    for seed in range(40):
        held = tilted(table(150, ("a", "b", "c"), seed=seed))
        for by_class in covered:
            found = prediction_set(
                new.probabilities,
                fit_sets(held, score="lac", coverage=0.8, by_class=by_class, consider=1),
            )
            inside = found[np.arange(len(new)), new.target]
            covered[by_class].append([inside[new.target == c].mean() for c in range(3)])
    assert (np.mean(covered[True], axis=0) > 0.78).all()
    assert np.mean(covered[False], axis=0).min() < 0.75


def test_only_raps_has_a_penalty_and_a_rank(table):
    cases = table(97, 6)
    true = set_scores(cases.probabilities, score="raps", penalty=0.3, rank=3)[
        np.arange(97), cases.target
    ]
    found = fit_sets(cases, score="raps", coverage=0.8, penalty=0.3, rank=3)
    assert found.quantiles == (patient_quantile(true, cases.patient_id, 0.8),) * 6
    assert (found.penalty, found.rank) == (0.3, 3)
    for score in ("lac", "aps"):
        found = fit_sets(cases, score=score, penalty=0.3, rank=3)
        assert (found.penalty, found.rank) == (0, 1)
