import dataclasses
import inspect

import numpy as np
import pytest
from scipy.special import softmax

from agfnet.bundle import Calibration
from agfnet.calibration.abstention import fit_abstention
from agfnet.calibration.conformal import fit_sets
from agfnet.calibration.fit import apply_calibration, calibration_warnings, fit_calibration
from agfnet.calibration.ood import fit_threshold, fit_thresholds
from agfnet.calibration.operating_point import fit_operating_point
from agfnet.calibration.scaling import fit_temperature
from agfnet.config import CalibrationConfig
from agfnet.metrics.calibration import nll

CLASSES = tuple(f"class {c}" for c in range(4))


def _held(table, rows=300, seed=1):
    scores = np.random.default_rng(seed).normal(size=rows)
    return dataclasses.replace(table(rows, seed=seed, per_patient=2), ood_score=scores)


def test_everything_is_fitted_on_the_labelled_cases_only(table):
    held = _held(table)
    config = CalibrationConfig(target_risk=0.4)
    found = fit_calibration(held, config)
    assert (found.cases, found.patients) == (300, 150)
    assert found.temperature == fit_temperature(held.probabilities, held.target)
    unlabelled = dataclasses.replace(_held(table, 20, seed=9), label=("",) * 20, ood_score=None)
    both = {
        name: np.concatenate([getattr(t, name) for t in (held, unlabelled)])
        for name in ("lesion_id", "patient_id", "label")
    }
    fields = {name: tuple(values.tolist()) for name, values in both.items()}
    fields["lesion_id"] = tuple(map(str, range(320)))
    joined = dataclasses.replace(
        held,
        **fields,
        probabilities=np.concatenate([held.probabilities, unlabelled.probabilities]),
        ood_score=np.concatenate([held.ood_score, np.zeros(20)]),
    )
    again = fit_calibration(joined, config)
    assert (again.temperature, again.sets) == (found.temperature, found.sets)
    assert again.abstention is not None


def test_logit_adjustment_answers_as_if_the_classes_were_equally_frequent(table):
    held = _held(table)
    weights = np.array([8.0, 4.0, 2.0, 1.0])
    rare = held.probabilities * weights
    rare = dataclasses.replace(held, probabilities=rare / rare.sum(axis=1, keepdims=True))
    plain = fit_calibration(rare, CalibrationConfig(scaling="temperature"))
    found = fit_calibration(rare, CalibrationConfig(scaling="temperature", logit_adjustment=1))
    before = apply_calibration(rare, plain).probabilities
    after = apply_calibration(rare, found).probabilities
    expected = before / before.mean(axis=0)
    np.testing.assert_allclose(after, expected / expected.sum(axis=1, keepdims=True))
    assert found.logit_adjustment == 1
    assert found.offsets == found.bias  # a temperature has no other
    scaled = apply_calibration(rare, dataclasses.replace(plain, scale=found.scale, bias=found.bias))
    assert found.sets == fit_sets(scaled)


@pytest.mark.parametrize("scaling", ["temperature", "vector"])
def test_sets_and_abstention_are_fitted_on_scaled_probabilities(table, scaling):
    held = _held(table)
    flat = dataclasses.replace(held, probabilities=softmax(held.probabilities, axis=1))
    found = fit_calibration(flat, CalibrationConfig(scaling=scaling, target_risk=0.4))
    scaled = apply_calibration(
        flat, Calibration(temperature=found.temperature, scale=found.scale, bias=found.bias)
    )
    assert found.sets == fit_sets(scaled)
    assert abs(found.sets.quantiles[0] - fit_sets(flat).quantiles[0]) > 0.01
    assert found.abstention == fit_abstention(scaled, target_risk=0.4)
    assert found.abstention.threshold > fit_abstention(flat, target_risk=0.4).threshold + 0.01


def test_applying_it_gives_the_answers_of_the_calibrated_bundle(table):
    held, new = _held(table), _held(table, 80, seed=2)
    found = fit_calibration(held, CalibrationConfig(target_risk=0.4))
    answer = apply_calibration(new, found)
    np.testing.assert_allclose(
        answer.probabilities, softmax(np.log(new.probabilities) / found.temperature, axis=1)
    )
    assert answer.prediction_set.any(axis=1).all()
    assert 0.8 < answer.prediction_set[np.arange(80), new.target].mean() < 1
    np.testing.assert_array_equal(
        answer.abstain, answer.probabilities.max(axis=1) < found.abstention.threshold
    )
    np.testing.assert_array_equal(answer.out_of_distribution, new.ood_score > found.ood_threshold)


def test_nothing_fitted_changes_nothing_and_says_nothing(table):
    answer = apply_calibration(table(20), Calibration())
    np.testing.assert_allclose(answer.probabilities, table(20).probabilities)
    for name in ("prediction_set", "abstain", "out_of_distribution"):
        assert getattr(answer, name) is None
    assert calibration_warnings(Calibration(), CLASSES) == []


def test_scaling_is_what_the_setting_says(table):
    held = _held(table)
    loss = {}
    for scaling in ("none", "temperature", "vector"):
        found = fit_calibration(held, CalibrationConfig(scaling=scaling))
        assert (found.temperature == 1) == (scaling != "temperature")
        assert (found.scale is None) == (scaling != "vector")
        loss[scaling] = nll(apply_calibration(held, found).probabilities, held.target)
    assert loss["vector"] < loss["temperature"] < loss["none"]


@pytest.mark.parametrize("rows", [0, 1, 6])
@pytest.mark.parametrize("scaling", ["none", "temperature", "vector"])
def test_small_splits_are_no_error_but_are_talked_of(table, rows, scaling):
    found = fit_calibration(_held(table, rows), CalibrationConfig(scaling=scaling))
    assert np.isfinite(found.scale or 0).all()
    sets, abstention, strange = calibration_warnings(found, CLASSES)
    assert "contains all classes: 95% coverage needs 19 validation patients" in sets
    assert "never abstains" in abstention
    assert "too few validation patients" in strange


def test_a_guarantee_is_not_rounded(table):
    found = fit_calibration(_held(table, 20), CalibrationConfig(coverage=0.975))
    text = calibration_warnings(found, CLASSES)[0]
    assert "97.5% coverage needs 39 validation patients" in text


def test_a_rare_class_is_named(table):
    held = _held(table, 200)
    rows = np.flatnonzero((held.target != 2) | (np.arange(200) < 10))
    found = fit_calibration(held.select(rows), CalibrationConfig(by_class=True, target_risk=0.45))
    assert calibration_warnings(found, CLASSES) == [
        "Every prediction set contains class 2: 95% coverage of each class needs 19 validation "
        "patients of the class."
    ]


@pytest.mark.parametrize(
    "function", [fit_sets, fit_abstention, fit_operating_point, fit_threshold, fit_thresholds]
)
def test_defaults_of_functions_are_those_of_the_settings(function):
    settings = CalibrationConfig()
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if hasattr(settings, name)
    }
    assert defaults
    assert defaults == {name: getattr(settings, name) for name in defaults}


def test_the_majority_is_the_fraction_of_the_most_frequent_class(table):
    cases = table(40, 2)
    cases = cases.select(
        np.concatenate([np.flatnonzero(cases.target == c)[: 3 * c + 6] for c in (0, 1)])
    )
    assert fit_calibration(cases, CalibrationConfig()).majority == pytest.approx(9 / 15)


def test_the_guarantee_of_answers_is_that_of_the_settings(table):
    held = _held(table)
    for confidence in (0.6, 0.9):
        config = CalibrationConfig(target_risk=0.4, confidence=confidence)
        found = fit_calibration(held, config).abstention
        assert found is not None
        assert found.confidence == confidence


def test_the_rate_of_warnings_is_that_of_the_settings(table):
    held = _held(table)
    for rate in (0.1, 0.3):
        found = fit_calibration(held, CalibrationConfig(ood_rate=rate))
        assert found.ood_threshold == fit_threshold(held, ood_rate=rate)
