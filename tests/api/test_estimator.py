"""scikit-learn's habits, as far as they apply to an estimator of images."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.utils import estimator_checks

import agfnet
from agfnet.data.table import read_cases
from agfnet.errors import DataError

SMALL: dict[str, Any] = {"epochs": 1, "backbone": "resnet10t", "size": 32}
MATRIX = "fits a matrix of numbers, which images are not"
SPARSE = "fits a sparse matrix, which images are not"
NOT_APPLICABLE = {
    "check_array_api_input": "is left out by scikit-learn itself without SCIPY_ARRAY_API",
    "check_classifier_data_not_an_array": MATRIX,
    "check_classifiers_classes": MATRIX,
    "check_classifiers_one_label": MATRIX,
    "check_classifiers_train": MATRIX,
    "check_dict_unchanged": MATRIX,
    "check_dont_overwrite_parameters": MATRIX,
    "check_estimator_sparse_array": SPARSE,
    "check_estimator_sparse_matrix": SPARSE,
    "check_estimator_sparse_tag": SPARSE,
    "check_estimators_dtypes": MATRIX,
    "check_estimators_fit_returns_self": MATRIX,
    "check_estimators_overwrite_params": MATRIX,
    "check_estimators_pickle": MATRIX,
    "check_f_contiguous_array_estimator": MATRIX,
    "check_fit2d_1feature": MATRIX,
    "check_fit2d_1sample": MATRIX,
    "check_fit_check_is_fitted": MATRIX,
    "check_fit_idempotent": MATRIX,
    "check_fit_score_takes_y": MATRIX,
    "check_methods_sample_order_invariance": MATRIX,
    "check_methods_subset_invariance": MATRIX,
    "check_pipeline_consistency": MATRIX,
    "check_positive_only_tag_during_fit": MATRIX,
    "check_readonly_memmap_input": MATRIX,
}
"""Checks of scikit-learn for classifiers that do not fit this one; those of `check_estimator` that
are about more than the form of X are repeated with lesions below."""


class Matrix(agfnet.AGFNetClassifier):
    """A classifier that says that X is a matrix, so that scikit-learn names all of its checks."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


def checks() -> list[Any]:
    """Return scikit-learn's checks of a classifier, except for those that do not apply."""
    generated = estimator_checks.estimator_checks_generator(Matrix(**SMALL), legacy=True)
    return [check for _, check in generated if name(check) not in NOT_APPLICABLE]


def name(check: Any) -> str:
    while hasattr(check, "func"):
        check = check.func
    return str(check.__name__)


@pytest.mark.parametrize("check", checks(), ids=name)
@pytest.mark.filterwarnings("ignore")  # `check_estimator` ignores them as well
def test_checks_of_scikit_learn(check: Any) -> None:
    check(agfnet.AGFNetClassifier(**SMALL))


def test_the_checks_that_are_left_out_exist() -> None:
    generated = estimator_checks.estimator_checks_generator(Matrix(**SMALL), legacy=True)
    assert {*NOT_APPLICABLE} <= {name(check) for _, check in generated}


def lesions(cohort: Path) -> tuple[list[dict[str, str]], np.ndarray, list[str]]:
    cases = read_cases(cohort, modalities=("clinical", "ultrasound")).cases
    wanted = sorted({case.label for case in cases})[:2]
    cases = tuple(case for case in cases if case.label in wanted)
    X = [{name: str(paths[0]) for name, paths in case.images.items()} for case in cases]
    labels = np.array([wanted.index(case.label) for case in cases])
    return X, labels, [case.patient_id for case in cases]


@pytest.mark.slow
def test_fit_predict_and_cross_validation(cohort: Path, tmp_path: Path) -> None:
    X, y, patients = lesions(cohort)
    classifier = agfnet.AGFNetClassifier(**SMALL, validation_fraction=0.3)
    with pytest.raises(NotFittedError):
        classifier.predict(X)
    params = classifier.get_params()
    fitted = clone(classifier).set_params(runs=str(tmp_path)).fit(X, y, groups=patients)
    assert list(fitted.classes_) == [0, 1]
    probabilities = fitted.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert set(fitted.predict(X)) <= {0, 1}
    assert 0 <= fitted.score(X, y) <= 1
    answers = cross_val_predict(
        classifier, np.array(X, dtype=object), y, groups=patients, cv=GroupKFold(2)
    )
    assert answers.shape == y.shape
    assert classifier.get_params() == params
    before = [dict(row) for row in X]
    order = np.random.default_rng(0).permutation(len(X))
    shuffled = fitted.predict_proba([X[i] for i in order])
    np.testing.assert_allclose(shuffled, probabilities[order], atol=1e-6)
    np.testing.assert_allclose(fitted.predict_proba(X[:3]), probabilities[:3], atol=1e-6)
    assert before == X
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(X[:3]), fitted.predict_proba(X[:3]))
    table = read_cases(tmp_path / "cases.csv", modalities=("clinical",), check_files=False)
    split = {case.patient_id: case.split for case in table}
    assert all(split[case.patient_id] == case.split for case in table)


def test_patients_that_the_table_names_are_kept_together(
    cohort: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y, patients = lesions(cohort)
    seen: list[list[str]] = []

    def train(self: Any, cases: list[Any]) -> None:
        seen.append([case.patient_id for case in cases])

    monkeypatch.setattr(agfnet.AGFNetClassifier, "_train", train)
    named = [{**row, "patient_id": p} for row, p in zip(X, patients, strict=True)]
    agfnet.AGFNetClassifier().fit(named, y)
    agfnet.AGFNetClassifier().fit(named, y, groups=range(len(X)))  # what is given comes first
    for index, missing in enumerate((None, float("nan"), "unknown", "")):
        named[index]["patient_id"] = missing
    named[4]["patient_id"] = named[5]["patient_id"] = 0
    agfnet.AGFNetClassifier().fit(named, y)
    agfnet.AGFNetClassifier().fit(X, y)
    assert seen[0] == patients
    assert seen[1] == [str(i) for i in range(len(X))]
    assert len(set(seen[2][:4]) - set(patients)) == 4
    assert seen[2][4:] == ["0", "0", *patients[6:]]
    assert len(set(seen[3])) == len(X)


def test_an_index_in_another_order_is_refused(cohort: Path) -> None:
    pandas = pytest.importorskip("pandas")
    X, y, _ = lesions(cohort)
    shuffled = pandas.Series(y).sample(frac=1, random_state=0)
    with pytest.raises(DataError, match=r"y: its index .* another order.* y\.loc\[X\.index\]"):
        agfnet.AGFNetClassifier().fit(pandas.DataFrame(X), shuffled)


def test_errors(cohort: Path) -> None:
    X, y, _ = lesions(cohort)
    with pytest.raises(DataError, match="expected the same number"):
        agfnet.AGFNetClassifier().fit(X, y[:-1])
    for missing in (None, float("nan")):
        message = "no value for 1 of .*, first at position 1, counted from 0"
        with pytest.raises(DataError, match=f"y: {message}"):
            agfnet.AGFNetClassifier().fit(X, [y[0], missing, *y[2:]])
        with pytest.raises(DataError, match=f"groups: {message}"):
            agfnet.AGFNetClassifier().fit(X, y, groups=["P0", missing, *range(len(X) - 2)])
        masked = np.ma.array(np.arange(len(X)), mask=np.arange(len(X)) == 1)
        with pytest.raises(DataError, match=f"y: {message}"):
            agfnet.AGFNetClassifier().fit(X, masked)
        with pytest.raises(DataError, match=f"groups: {message}"):
            agfnet.AGFNetClassifier().fit(X, y, groups=masked)
    with pytest.raises(DataError, match=r"y: its shape is .*; expected one value"):
        agfnet.AGFNetClassifier().fit(X, np.eye(len(X)))
    with pytest.raises(DataError, match=r"y: its shape is \(\)"):
        agfnet.AGFNetClassifier().fit(X, None)
    with pytest.raises(DataError, match=r"groups: its shape is"):
        agfnet.AGFNetClassifier().fit(X, y, groups=np.zeros((len(X), 2)))
    with pytest.raises(DataError, match="1 class"):
        agfnet.AGFNetClassifier().fit(X, np.zeros(len(X)))
    with pytest.raises(ValueError, match="continuous"):
        agfnet.AGFNetClassifier().fit(X, np.linspace(0, 1, len(X)))
