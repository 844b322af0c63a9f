import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from agfnet.metrics.bootstrap import patient_bootstrap
from agfnet.metrics.calibration import CERTAINTY
from agfnet.metrics.discrimination import DISCRIMINATION, RATES, class_metrics, top_k
from agfnet.metrics.summary import METRICS, class_auc, entries

ADDED = DISCRIMINATION | CERTAINTY


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
    assert DISCRIMINATION[name](*scored) == pytest.approx(expected, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("rate", RATES)
def test_every_rate_of_every_class_agrees_with_scikit_learn(rate, scored):
    metrics = class_metrics(scored[0].shape[1])
    for c in range(scored[0].shape[1]):
        expected = _one(rate, *scored, c)
        found = metrics[f"{rate} {c}"](*scored)
        assert found == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_averages_that_have_two_names_are_the_same_number(scored):
    probabilities, target = scored
    table = class_metrics(probabilities.shape[1])
    held = np.unique(target)
    mean = np.nanmean([table[f"f1 {c}"](probabilities, target) for c in held])
    assert METRICS["macro_f1"](probabilities, target) == pytest.approx(mean)
    areas = [table[f"auc {c}"](probabilities, target) for c in range(probabilities.shape[1])]
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
    assert math.isnan(DISCRIMINATION["top2_accuracy"](np.array([[0.5, 0.5]]), np.array([0])))


@pytest.mark.parametrize("name", ADDED)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 40), tied=st.booleans())
def test_a_weight_is_a_repetition(name, seed, rows, tied):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(3), rows)
    if tied:
        counts = rng.multinomial(3, np.ones(3) / 3, rows)
        probabilities = counts / counts.sum(axis=1, keepdims=True)
    target = rng.integers(3, size=rows)
    weights = rng.integers(0, 4, size=rows)
    repeated = np.repeat(np.arange(rows), weights)
    assert ADDED[name](probabilities, target, weights) == pytest.approx(
        ADDED[name](probabilities[repeated], target[repeated]), rel=1e-9, abs=1e-9, nan_ok=True
    )


@pytest.mark.parametrize("name", ADDED)
def test_the_order_of_the_cases_does_not_matter(name, scored):
    probabilities, target = scored
    order = np.random.default_rng(1).permutation(len(target))
    assert ADDED[name](probabilities[order], target[order]) == pytest.approx(
        ADDED[name](probabilities, target), abs=1e-9, nan_ok=True
    )


@pytest.mark.parametrize("name", ADDED)
def test_without_cases_there_is_no_value(name):
    assert math.isnan(ADDED[name](np.empty((0, 3)), np.empty(0, dtype=int)))


def test_entries_of_one_vector_are_those_of_its_parts(table):
    cohort = table(40, 3, per_patient=2)
    together = patient_bootstrap(cohort, class_metrics(3), resamples=30)
    for name in ("auc 2", "ppv 0"):
        alone = patient_bootstrap(cohort, {name: class_metrics(3)[name]}, resamples=30)
        assert alone[name] == together[name]


def test_entries_notice_another_table_and_other_weights():
    asked = []

    def prepare(probabilities, target):
        asked.append("table")
        return lambda weights: asked.append("weights") or np.array([weights.sum(), len(target)])

    both = entries(["a", "b"], prepare)
    probabilities, target = np.full((2, 2), 0.5), np.array([0, 1])
    a, b = (metric.prepare(probabilities, target) for metric in both.values())
    ones, twos = np.ones(2), np.full(2, 2.0)
    assert (a(ones), b(ones), a(twos), b(twos)) == (2, 2, 4, 2)
    assert asked == ["table", "weights", "weights"]
    assert both["b"](probabilities[:1], target[:1]) == 1
