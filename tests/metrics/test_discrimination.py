import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from agfnet.metrics.calibration import certainty
from agfnet.metrics.discrimination import (
    RATES,
    class_auc,
    class_rates,
    discrimination,
    roc_curve,
    top_k,
)
from agfnet.metrics.metric import joined
from agfnet.metrics.summary import METRICS

EMPTY = np.empty((0, 3)), np.empty(0, dtype=int)
DISCRIMINATION = list(discrimination(*EMPTY)(np.empty(0)))
ADDED = [*DISCRIMINATION, *certainty(*EMPTY)(np.empty(0))]


def _added(probabilities, target, weights=None):
    statistics = joined(discrimination(probabilities, target), certainty(probabilities, target))
    return statistics(np.ones(len(target)) if weights is None else weights.astype(float))


def _rates(probabilities, target):
    return class_rates(probabilities, target)(np.ones(len(target)))


def _one(name, probabilities, target, c):
    """One rate of one class against the rest, by scikit-learn; nan where it warns."""
    true, said = target == c, probabilities.argmax(axis=1) == c
    if name in ("auc", "ap"):
        score = reference.roc_auc_score if name == "auc" else reference.average_precision_score
        held = true.any() and (name == "ap" or not true.all())
        return score(true, probabilities[:, c]) if held else math.nan
    if name in ("specificity", "npv"):
        true, said = ~true, ~said
    score = {
        "sensitivity": reference.recall_score,
        "specificity": reference.recall_score,
        "ppv": reference.precision_score,
        "npv": reference.precision_score,
        "f1": reference.f1_score,
    }[name]
    return score(true, said, zero_division=np.nan)


def _average(name, probabilities, target, weighted):
    held = np.unique(target)
    values = np.array([_one(name, probabilities, target, c) for c in held])
    cases = np.array([(target == c).sum() if weighted else 1 for c in held])
    kept = np.isfinite(values)
    return np.average(values[kept], weights=cases[kept]) if kept.any() else math.nan


def _expected(name, probabilities, target):
    if name == "kappa":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about one class only
            return reference.cohen_kappa_score(target, probabilities.argmax(axis=1))
    kind, rate = name.split("_")
    return _average(rate, probabilities, target, kind == "weighted")


@pytest.mark.parametrize("name", [name for name in DISCRIMINATION if name != "top2_accuracy"])
def test_agrees_with_scikit_learn(name, scored):
    expected = _expected(name, *scored)
    assert _added(*scored)[name] == pytest.approx(expected, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("rate", RATES)
def test_every_rate_of_every_class_agrees_with_scikit_learn(rate, scored):
    found = _rates(*scored)
    for c in range(scored[0].shape[1]):
        expected = _one(rate, *scored, c)
        assert found[rate, c] == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_the_roc_curve_is_that_of_scikit_learn(scored):
    probabilities, target = scored
    for c in range(probabilities.shape[1]):
        if 0 < (target == c).sum() < len(target):
            false, true = roc_curve(probabilities[:, c], target == c)
            expected = reference.roc_curve(
                target == c, probabilities[:, c], drop_intermediate=False
            )
            np.testing.assert_allclose((false, true), expected[:2])
            assert np.trapezoid(true, false) == pytest.approx(class_auc(*scored)[c])


def test_averages_that_have_two_names_are_the_same_number(scored):
    probabilities, target = scored
    table = _rates(probabilities, target)
    held = np.unique(target)
    mean = np.nanmean([table["f1", c] for c in held])
    assert METRICS["macro_f1"](probabilities, target) == pytest.approx(mean)
    areas = [table["auc", c] for c in range(probabilities.shape[1])]
    np.testing.assert_allclose(areas, class_auc(probabilities, target))


def test_top_k_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    probabilities, target = rng.dirichlet(np.ones(6), 300), rng.integers(6, size=300)
    for k in (1, 2, 5):
        expected = reference.top_k_accuracy_score(target, probabilities, k=k)
        assert top_k(k)(probabilities, target) == pytest.approx(expected)


def test_top_k_of_ties_is_the_answer_of_the_network(scored):
    assert top_k(1)(*scored) == METRICS["accuracy"](*scored)


def test_top_2_of_two_classes_says_nothing():
    assert math.isnan(_added(np.array([[0.5, 0.5]]), np.array([0]))["top2_accuracy"])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 40), tied=st.booleans())
def test_a_weight_is_a_repetition(seed, rows, tied):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(3), rows)
    if tied:
        counts = rng.multinomial(3, np.ones(3) / 3, rows)
        probabilities = counts / counts.sum(axis=1, keepdims=True)
    target = rng.integers(3, size=rows)
    weights = rng.integers(0, 4, size=rows)
    repeated = np.repeat(np.arange(rows), weights)
    expected = _added(probabilities[repeated], target[repeated])
    assert _added(probabilities, target, weights) == pytest.approx(
        expected,
        rel=1e-9,
        abs=1e-7,
        nan_ok=True,  # the root of a rounding error is up to 1e-8
    )


def test_the_order_of_the_cases_does_not_matter(scored):
    probabilities, target = scored
    order = np.random.default_rng(1).permutation(len(target))
    assert _added(probabilities[order], target[order]) == pytest.approx(
        _added(probabilities, target), abs=1e-9, nan_ok=True
    )


@pytest.mark.parametrize("name", ADDED)
def test_without_cases_there_is_no_value(name):
    assert math.isnan(_added(*EMPTY)[name])


def test_a_class_of_a_single_case_counts_in_averages():
    target = np.array([0, 0, 0, 1])
    probabilities = np.array([[0.8, 0.1, 0.1]] * 4)
    assert _added(probabilities, target)["macro_ap"] == pytest.approx((3 / 4 + 1 / 4) / 2)
    assert _added(probabilities, target)["weighted_f1"] == pytest.approx(3 / 4 * 6 / 7)
