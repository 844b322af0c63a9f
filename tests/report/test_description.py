"""Sentences about a run depend on its settings."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from agfnet.bundle import Calibration
from agfnet.card import card, refresh_card
from agfnet.config import EvaluateConfig
from agfnet.evaluation.inputs import read_inputs
from agfnet.network_description import frequencies_sentence, missing_sentence
from agfnet.report.description import data_facts, model_facts

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
