"""Sentences about a run depend on its settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from agfnet.bundle import Calibration
from agfnet.card import card, refresh_card
from agfnet.config import EvaluateConfig
from agfnet.evaluation.inputs import read_inputs
from agfnet.network_description import frequencies_sentence, missing_sentence
from agfnet.report.description import data_facts, model_facts, optimal_accuracy, origin

NONE = {"loss": {"class_weights": "none"}}


@pytest.mark.parametrize(
    ("settings", "calibration", "expected"),
    [
        (NONE, Calibration(), "reflect the class frequencies of the training cases."),
        ({"loss": {"class_weights": "balanced"}}, Calibration(), "equal class frequencies, not"),
        (
            {"loss": {"class_weights": "none", "logit_adjustment": 1.0}},
            Calibration(),
            "equal class frequencies, not",
        ),
        (NONE | {"optim": {"sampling": "balanced"}}, None, "equal class frequencies, not"),
        (NONE, Calibration(scale=(1.0,), bias=(0.0,)), "frequencies of the validation split"),
        (
            NONE,
            Calibration(scale=(1.0,), bias=(0.0,), logit_adjustment=1.0),
            "equal class frequencies, not those of the validation split",
        ),
        ({}, None, "class frequencies and class weights of the training"),
    ],
)
def test_frequencies_follow_from_the_training_and_the_calibration(
    settings, calibration, expected
) -> None:
    assert expected in frequencies_sentence(settings, calibration)


def test_nothing_is_said_to_be_learned_about_missing_modalities_without_dropout() -> None:
    assert "No modality was dropped in training" in missing_sentence(0)
    assert "dropped with probability 0.3" in missing_sentence(0.3)


def test_the_report_and_the_card_use_the_settings_of_the_run(trained: Path) -> None:
    inputs = read_inputs(EvaluateConfig(run=str(trained)))
    settings = yaml.safe_load((trained / "config.yaml").read_text())
    missing = missing_sentence(settings["optim"]["modality_dropout"])
    frequencies = frequencies_sentence(settings, inputs.predictor.bundle.calibration)
    assert missing in data_facts(inputs)["missing"]
    assert frequencies in model_facts(inputs)["imbalance"]
    refresh_card(trained)
    text = (trained / "bundle" / "card.md").read_text()
    assert missing in text
    assert frequencies in text
    assert frequencies not in card(inputs.predictor.bundle.config)


def test_the_table_of_the_training_is_known_also_by_its_path(trained: Path, cohort: Path) -> None:
    def text(cases: Path | None, split: str | None = None) -> str:
        config = EvaluateConfig(run=str(trained), cases=cases and str(cases), split=split)
        return origin(read_inputs(config))

    assert text(None) == "None: the table of the training, other patients."
    assert text(cohort) == "None: the table of the training."
    assert text(cohort, "test") == "None: the table of the training, other patients."
    other = cohort.with_name("other.csv")
    lines = cohort.read_text().splitlines(keepends=True)
    try:
        other.write_text("".join(lines))
        assert text(other) == "None: the table of the training."  # a copy
        other.write_text("".join(lines[:30]))
        assert "other.csv is not the table of the training" in text(other)
    finally:
        other.unlink()


def test_the_optimum_is_that_of_the_classes_of_the_network(tmp_path: Path) -> None:
    truth = {
        "classes": ["a", "b", "c"],
        "limits": {"both": 0.9, "clinical": 0.6},
        "limits_by_split": {"test": {"both": 0.8, "clinical": 0.5}},
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    cases, both = tmp_path / "cases.csv", ("clinical", "ultrasound")
    assert optimal_accuracy(cases, both, "test") == 0.8
    assert optimal_accuracy(cases, ("clinical",), None) == 0.6
    assert optimal_accuracy(cases, both, "test", ["c", "b", "a"]) == 0.8
    assert optimal_accuracy(cases, both, "test", ["a", "b"]) is None
    assert optimal_accuracy(cases, both, "test", {"a": ["a"], "other": ["b", "c"]}) is None
