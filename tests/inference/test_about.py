"""Sentences about a model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agfnet.bundle import (
    BundleConfig,
    Calibration,
    Evaluated,
    OperatingPoint,
    Rate,
    read_bundle,
    replace_cards,
    write_bundle,
    write_calibration,
)
from agfnet.config import ModelConfig, default_modalities
from agfnet.inference.about import about, model_warnings
from agfnet.translation import LANGUAGES

POINT = OperatingPoint(
    group="malignant",
    members=(True, False),
    target_sensitivity=0.95,
    threshold=0.115,
    sensitivity=Rate(0.95, 0.83, 0.99),
    specificity=Rate(0.7, 0.6, 0.79),
    positives=40,
    negatives=90,
)
CALIBRATION = Calibration(
    temperature=1.2,
    operating_point=POINT,
    accuracy=Rate(0.8, 0.7, 0.87),
    majority=0.6,
    cases=130,
    patients=100,
)
TEST = Evaluated(
    n=200,
    balanced_accuracy=Rate(0.75, 0.7, 0.8),
    sensitivities={"MEL": Rate(0.78, 0.7, 0.85), "NV": Rate(0.72, 0.6, 0.8)},
    sensitivity=Rate(0.93, 0.85, 0.97),
    specificity=Rate(0.65, 0.55, 0.74),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = BundleConfig(
        classes=("MEL", "NV"),
        labels=None,
        modalities=default_modalities(),
        size=32,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        model=ModelConfig(),
        data_hash="none",
        cases={"train": {"MEL": 70, "NV": 230}, "val": {"MEL": 40, "NV": 90}},
        simulated=True,
        optional=(),
    )
    bundle = write_bundle(tmp_path, {"w": np.zeros(1, np.float32)}, config, "# Card\n")
    replace_cards(write_calibration(bundle, CALIBRATION), {"en": "# Card\n"}, {"test": TEST})
    return tmp_path


def test_results_of_training_lesions_are_no_test(folder: Path) -> None:
    bundle = read_bundle(folder)
    replace_cards(bundle, {"en": "# Card\n"}, {"train": replace(TEST, seen=200)})
    lines = about(read_bundle(folder))
    assert any(line.startswith("Of these, 200 were used to train or validate it") for line in lines)
    assert "Not tested on held-out lesions." in lines
    replace_cards(bundle, {"en": "# Card\n"}, {"test": TEST, "train": replace(TEST, seen=200)})
    lines = about(read_bundle(folder))
    assert "Not tested on held-out lesions." not in lines
    assert "Not tested on lesions of another hospital." in lines


def test_plain_lines(folder: Path) -> None:
    assert about(read_bundle(folder)) == [
        "Trained on 300 lesions: melanoma 70, naevus 230.",
        "Calibrated on 130 validation lesions of 100 patients.",
        "On these, at the threshold of 12%: sensitivity for malignant lesions 95% (83% to 99%) of"
        " 40, specificity 70% (60% to 79%) of 90.",
        "The network answers every lesion: no error rate could be guaranteed.",
        "Tested on \N{LEFT DOUBLE QUOTATION MARK}test\N{RIGHT DOUBLE QUOTATION MARK}"
        " (200 lesions): balanced accuracy 75% (70% to 80%).",
        "There, at the threshold: sensitivity for malignant lesions 93% (85% to 97%),"
        " specificity 65% (55% to 74%).",
        "Sensitivity there by diagnosis: melanoma 78% (70% to 85%), naevus 72% (60% to 80%).",
        "Not trained to do without any of the images.",
        "Not tested on lesions of another hospital.",
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages_say_the_same(folder: Path, language: str) -> None:
    lines = about(read_bundle(folder), language)
    assert len(lines) == 9
    for number in ("300", "12%", "95%", "93%", "78%"):
        assert any(number in line for line in lines)


def test_simulated_lesions_are_a_warning(folder: Path) -> None:
    bundle = read_bundle(folder)
    [warning] = model_warnings(bundle)
    assert "simulated lesions" in warning
    real = replace(bundle, config=replace(bundle.config, simulated=False))
    assert model_warnings(real) == []


def test_a_network_no_better_than_the_majority_says_so(folder: Path) -> None:
    bundle = read_bundle(folder)
    real = replace(bundle, config=replace(bundle.config, simulated=False))
    poor = replace(real, calibration=replace(CALIBRATION, majority=0.72))
    [warning] = model_warnings(poor)
    assert "80% (70% to 87%) right, against 72%" in warning
    [warning] = model_warnings(replace(real, calibration=Calibration()))
    assert "not calibrated" in warning


def test_what_was_not_tested(folder: Path) -> None:
    bundle = read_bundle(folder)
    replace_cards(bundle, {"en": "# Card\n"}, {})
    lines = about(read_bundle(folder))
    assert "Not tested on held-out lesions." in lines
    replace_cards(read_bundle(folder), {"en": "# Card\n"}, {"test": TEST, "elsewhere": TEST})
    assert not [line for line in about(read_bundle(folder)) if line.startswith("Not tested")]
