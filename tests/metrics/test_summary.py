import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference
from torchmetrics.functional.classification import multiclass_calibration_error

from agfnet.metrics.discrimination import class_auc, confusion, rates
from agfnet.metrics.summary import LOWER_IS_BETTER, METRICS, summary

CONTRACT = [
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "macro_auc",
    "macro_sensitivity",
    "macro_specificity",
    "nll",
    "brier",
    "ece",
    "aurc",
]


def _auc(probabilities, target):
    held = [c for c in np.unique(target) if (target != c).any()]
    areas = [reference.roc_auc_score(target == c, probabilities[:, c]) for c in held]
    return np.mean(areas) if areas else math.nan


def _specificity(probabilities, target):
    said = probabilities.argmax(axis=1)
    held = [c for c in np.unique(target) if (target != c).any()]
    shares = [np.mean(said[target != c] != c) for c in held]
    return np.mean(shares) if shares else math.nan


def _recall(probabilities, target):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about classes that are answered but never true
        return reference.balanced_accuracy_score(target, probabilities.argmax(axis=1))


REFERENCES = {
    "accuracy": lambda p, t: reference.accuracy_score(t, p.argmax(axis=1)),
    "balanced_accuracy": _recall,
    "macro_sensitivity": _recall,
    "macro_f1": lambda p, t: reference.f1_score(
        t, p.argmax(axis=1), labels=np.unique(t), average="macro", zero_division=0
    ),
    "macro_auc": _auc,
    "macro_specificity": _specificity,
    "nll": lambda p, t: reference.log_loss(t, p, labels=range(p.shape[1])),
    "brier": lambda p, t: reference.brier_score_loss(
        t, p, labels=range(p.shape[1]), scale_by_half=False
    ),
    "ece": lambda p, t: multiclass_calibration_error(
        torch.tensor(p), torch.tensor(t), num_classes=p.shape[1], n_bins=15
    ).item(),
}


def test_the_names_are_those_of_the_contract():
    assert list(METRICS) == CONTRACT
    assert METRICS["aurc"].__name__ == "aurc"
    assert METRICS["aurc"].__doc__
    assert set(METRICS) > LOWER_IS_BETTER
    one = summary(np.eye(2), np.arange(2), ["ece", "nll"])(np.ones(2))
    assert one == pytest.approx({"ece": 0, "nll": 0})


@pytest.mark.parametrize("name", REFERENCES)
def test_agrees_with_an_independent_reference(name, scored):
    if name == "ece":  # torchmetrics computes in float32, where values at an edge change bin
        scored = (scored[0] * 0.99 + 0.01 / scored[0].shape[1], scored[1])
    expected = REFERENCES[name](*scored)
    tolerance = 1e-6 if name == "ece" else 1e-12
    assert METRICS[name](*scored) == pytest.approx(expected, abs=tolerance, nan_ok=True)


def test_ece_by_hand_with_confidence_one():
    probabilities = np.array([[1.0, 0.0], [1.0, 0.0], [0.5, 0.5]])
    assert METRICS["ece"](probabilities, np.array([0, 1, 0])) == pytest.approx((1 + 0.5) / 3)


def test_nll_of_an_impossible_truth_is_finite():
    assert METRICS["nll"](np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(36.04, abs=0.01)


@pytest.mark.parametrize("name", CONTRACT)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 30), tied=st.booleans())
def test_a_weight_is_a_repetition(name, seed, rows, tied):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(3), rows)
    if tied:
        counts = rng.multinomial(3, np.ones(3) / 3, rows)
        probabilities = counts / counts.sum(axis=1, keepdims=True)
    target = rng.integers(3, size=rows)
    weights = rng.integers(0, 4, size=rows)
    repeated = np.repeat(np.arange(rows), weights)
    metric = METRICS[name]
    assert metric(probabilities, target, weights) == pytest.approx(
        metric(probabilities[repeated], target[repeated]), rel=1e-12, abs=1e-12, nan_ok=True
    )


@pytest.mark.parametrize("name", CONTRACT)
def test_the_order_of_the_cases_does_not_matter(name, scored):
    probabilities, target = scored
    order = np.random.default_rng(1).permutation(len(target))
    assert METRICS[name](probabilities[order], target[order]) == pytest.approx(
        METRICS[name](probabilities, target), abs=1e-12, nan_ok=True
    )


@pytest.mark.parametrize("name", CONTRACT)
def test_without_cases_there_is_no_value(name):
    assert math.isnan(METRICS[name](np.empty((0, 3)), np.empty(0, dtype=int)))


@pytest.mark.parametrize(
    ("probabilities", "target"),
    [
        ([[0.5, 0.5]], [0, 1]),
        ([[0.5, 0.5]], [-1]),
        ([[0.5, 0.5]], [2]),
        ([[math.nan, 0.5]], [0]),
        ([0.5, 0.5], [0, 1]),
    ],
)
def test_contradicting_input_is_refused(probabilities, target):
    with pytest.raises(ValueError):
        METRICS["accuracy"](np.array(probabilities), np.array(target))


def test_rates_by_hand():
    probabilities = np.eye(3)[[0, 0, 1, 1]]
    target = np.array([0, 1, 1, 1])
    counts = confusion(probabilities, target)
    assert counts.tolist() == [[1, 0, 0], [1, 2, 0], [0, 0, 0]]
    found = rates(counts)
    assert found.cases.tolist() == [1, 3, 0]
    np.testing.assert_allclose(found.sensitivity, [1, 2 / 3, np.nan])
    np.testing.assert_allclose(found.specificity, [2 / 3, 1, 1])
    np.testing.assert_allclose(found.ppv, [1 / 2, 1, np.nan])
    np.testing.assert_allclose(found.f1, [2 / 3, 4 / 5, np.nan])
    np.testing.assert_allclose(class_auc(probabilities, target), [5 / 6, 5 / 6, np.nan])
