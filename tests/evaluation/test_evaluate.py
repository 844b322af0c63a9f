import dataclasses
import json
import warnings

import numpy as np
import pytest

from agfnet.evaluation.evaluate import (
    FILES,
    decision_statistics,
    evaluate,
    evaluate_classes,
    result_files,
)
from agfnet.files import write_json
from agfnet.inference.predictions import Predictions
from agfnet.metrics.calibration import BRIER_PARTS
from agfnet.metrics.discrimination import MACRO, WEIGHTED, class_auc, confusion, rates
from agfnet.metrics.summary import METRICS

BINNED = ("ece_equal_mass", "ece_debiased", "classwise_ece", *BRIER_PARTS, "ece_by_chance")
NAMES = [
    *METRICS,
    "top2_accuracy",
    "kappa",
    *(f"macro_{rate}" for rate in MACRO),
    *(f"weighted_{rate}" for rate in WEIGHTED),
    *BINNED,
]


def test_the_contract_of_metrics_json(table, tmp_path):
    found = evaluate(table(50), resamples=50, seed=1)
    assert list(found) == [*NAMES, "n"]
    assert found["n"] == 50
    assert set(found["accuracy"]) == {"value", "low", "high"}
    path = tmp_path / "metrics.json"
    write_json(path, found)
    assert json.loads(path.read_text()) == found
    assert list(tmp_path.iterdir()) == [path]


def test_decisions_of_the_table_are_scored_too(table):
    cases = table(50)
    cases = dataclasses.replace(
        cases,
        prediction_set=np.ones((50, 4), dtype=bool),
        abstain=np.zeros(50, dtype=bool),
        out_of_distribution=np.zeros(50, dtype=bool),
    )
    found = evaluate(cases, resamples=5)
    assert found["set_coverage"]["value"] == 1
    assert found["set_size"]["value"] == 4
    assert found["selective_risk"]["value"] == pytest.approx(1 - found["accuracy"]["value"])
    assert list(found)[-1] == "n"


def test_what_the_decisions_were_worth():
    cases = Predictions(
        classes=("a", "b"),
        lesion_id=tuple("1234"),
        patient_id=tuple("1234"),
        label=tuple("abba"),
        probabilities=np.array([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.7, 0.3]]),
        prediction_set=np.array([[1, 0], [1, 1], [1, 0], [1, 1]], dtype=bool),
        abstain=np.array([False, True, False, False]),
        out_of_distribution=np.array([True, False, False, False]),
    )
    ones = np.ones(4)
    assert decision_statistics(cases)(ones) == pytest.approx(
        {
            "set_coverage": 3 / 4,
            "set_size": 6 / 4,
            "abstained": 1 / 4,
            "selective_risk": 1 / 3,
            "out_of_distribution": 1 / 4,
        }
    )
    plain = dataclasses.replace(cases, prediction_set=None, abstain=None, out_of_distribution=None)
    assert decision_statistics(plain)(ones) == {}
    silent = dataclasses.replace(cases, abstain=np.ones(4, dtype=bool))
    assert np.isnan(decision_statistics(silent)(ones)["selective_risk"])


def test_binned_errors_have_intervals_around_their_value_and_above_0(table):
    for seed in range(5):
        found = evaluate(table(60, seed=seed), resamples=40)
        for name in ("ece", *BINNED):
            entry = found[name]
            assert 0 <= entry["low"] <= entry["value"] <= entry["high"]


def test_one_patient_has_no_interval(table):
    found = evaluate(table(3, per_patient=3), resamples=10)
    assert found.pop("n") == 3
    assert found.pop("ece_by_chance")["high"] is not None  # draws of answers, not of patients
    assert found["accuracy"]["value"] is not None
    assert {entry[end] for entry in found.values() for end in ("low", "high")} == {None}


def test_a_class_of_one_patient_has_no_interval(table):
    cases = table(60)
    alone = np.flatnonzero((cases.target != 2) | (np.cumsum(cases.target == 2) == 1))
    found = evaluate_classes(cases.select(alone), resamples=50)["class 2"]
    assert found["n"] == 1
    assert found["sensitivity"] == {"value": 1.0, "low": None, "high": None}
    assert found["specificity"]["low"] < found["specificity"]["high"]


def test_undefined_is_null(table, tmp_path):
    found = evaluate(table(1), resamples=10)
    assert found["macro_auc"] == {"value": None, "low": None, "high": None}
    write_json(tmp_path / "metrics.json", found)
    assert "NaN" not in (tmp_path / "metrics.json").read_text()


@pytest.mark.parametrize("rows", [0, 3])
def test_without_labels_there_is_only_their_number(rows):
    unlabelled = Predictions(
        classes=("a", "b"),
        lesion_id=tuple("xyz"[:rows]),
        patient_id=tuple("xyz"[:rows]),
        label=("",) * rows,
        probabilities=np.full((rows, 2), 0.5),
    )
    assert evaluate(unlabelled) == {"n": 0}
    assert result_files(unlabelled, malignant=["a"], attributes={"x": "abc"[:rows]}) == {
        "metrics.json": {"n": 0}
    }


def test_the_classes_are_those_of_the_confusion_matrix(table):
    cases = table(120, per_patient=2)
    found = evaluate_classes(cases, resamples=50)
    assert list(found) == list(cases.classes)
    expected = rates(confusion(cases.probabilities, cases.target))
    areas = class_auc(cases.probabilities, cases.target)
    for c, entry in enumerate(found.values()):
        assert entry["n"] == expected.cases[c]
        assert entry["sensitivity"]["value"] == expected.sensitivity[c]
        assert entry["specificity"]["value"] == expected.specificity[c]
        assert entry["ppv"]["value"] == expected.ppv[c]
        assert entry["npv"]["value"] == expected.npv[c]
        assert entry["f1"]["value"] == expected.f1[c]
        for name in ("auc", "auc_delong"):
            assert entry[name]["value"] == pytest.approx(areas[c])
            assert entry[name]["low"] < areas[c] < entry[name]["high"]
        assert abs(entry["auc"]["low"] - entry["auc_delong"]["low"]) < 0.05
        assert entry["ece"]["low"] <= entry["ece"]["value"] <= entry["ece"]["high"]


def test_every_file_is_made_of_what_there_is(table, tmp_path, fits_schema):
    cases = table(60)
    assert list(result_files(cases, resamples=5)) == ["metrics.json", "classes.json"]
    files = result_files(
        cases,
        attributes={"x": ["a", "b"] * 30},
        malignant=["class 1"],
        validation=table(60, seed=3),
        resamples=5,
    )
    assert tuple(files) == FILES
    for name, content in files.items():
        write_json(tmp_path / name, content)
        fits_schema(name, json.loads((tmp_path / name).read_text()))
    curve = files["malignant.json"]["decision_curve"]
    assert {len(values) for values in curve.values()} == {99}
    assert len(files["malignant.json"]["operating_points"]) == 2


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("labels", [None, ("class 0",)])
def test_awkward_tables_give_numbers_or_null_and_no_warning(table, tmp_path, rows, labels):
    cases = table(rows)
    if labels:
        cases = dataclasses.replace(cases, label=labels * rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        files = result_files(
            cases,
            attributes={"x": [str(row) for row in range(rows)]},
            malignant=["class 1"],
            validation=cases,
            resamples=5,
        )
    for name, content in files.items():
        write_json(tmp_path / name, content)
