"""scikit-learn's habits, as far as they apply to an estimator of images."""

from __future__ import annotations

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
APPLICABLE = (
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_no_attributes_set_in_init",
    "check_mixin_order",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
)


@pytest.mark.parametrize("check", APPLICABLE)
def test_checks_of_scikit_learn_that_need_no_matrix(check: str) -> None:
    getattr(estimator_checks, check)("AGFNetClassifier", agfnet.AGFNetClassifier(**SMALL))


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
    table = read_cases(tmp_path / "cases.csv", modalities=("clinical",), check_files=False)
    split = {case.patient_id: case.split for case in table}
    assert all(split[case.patient_id] == case.split for case in table)


def test_errors(cohort: Path) -> None:
    X, y, _ = lesions(cohort)
    with pytest.raises(DataError, match="expected the same number"):
        agfnet.AGFNetClassifier().fit(X, y[:-1])
    with pytest.raises(DataError, match="1 class"):
        agfnet.AGFNetClassifier().fit(X, np.zeros(len(X)))
