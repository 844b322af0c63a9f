"""What is fitted on the validation split, and what an evaluation then makes of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from agfnet.bundle import read_bundle
from agfnet.config import CalibrationConfig, EvaluateConfig
from agfnet.data.table import read_cases
from agfnet.errors import ConfigError
from agfnet.evaluation.calibrate import calibrate_run
from agfnet.evaluation.evaluate import FILES
from agfnet.evaluation.inputs import VALIDATION
from agfnet.evaluation.malignant import grouped
from agfnet.inference.predictions import read_predictions
from agfnet.metrics.operating_points import halfway_threshold, threshold_for_sensitivity
from agfnet.report.run import run_evaluation


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.mark.slow
def test_training_leaves_a_calibration_and_its_cases(trained: Path, cohort: Path) -> None:
    calibration = read_bundle(trained).calibration
    held = read_predictions(trained / VALIDATION)
    table = read_cases(cohort, modalities=("clinical", "ultrasound"))
    assert list(held.lesion_id) == [case.lesion_id for case in table if case.split == "val"]
    assert calibration.cases == len(held)
    assert calibration.patients == len(set(held.patient_id))
    assert calibration.sets is not None


@pytest.mark.slow
def test_the_settings_are_those_of_the_run_unless_given(run: Path) -> None:
    path = run / "config.yaml"
    settings = yaml.safe_load(path.read_text())
    assert settings["calibration"]["scaling"] == "temperature"
    settings["calibration"]["scaling"] = "none"
    path.write_text(yaml.safe_dump(settings))
    assert calibrate_run(run).temperature == 1
    del settings["calibration"]  # a run of an earlier version
    path.write_text(yaml.safe_dump(settings))
    assert calibrate_run(run).temperature != 1
    found = calibrate_run(run, config=CalibrationConfig(scaling="vector", coverage=0.6))
    assert found.scale is not None
    assert read_bundle(run).calibration == found


def test_calibrating_again_starts_from_the_network(run: Path) -> None:
    temporary = run / f".{VALIDATION}.4711"
    temporary.write_text("of a calibration that was killed")
    once, twice = calibrate_run(run), calibrate_run(run)
    assert once == twice
    assert not temporary.exists()


@pytest.mark.slow
def test_an_evaluation_writes_all_numbers_and_drops_old_ones(run: Path) -> None:
    classes = list(read_bundle(run).config.classes)
    config = EvaluateConfig(run=str(run), resamples=5, sensitivities=(0.5, 0.95))
    folder = run_evaluation(config)
    files = {name: json.loads((folder / name).read_text()) for name in FILES}
    group = read_bundle(run).config.groups["malignant"]
    assert files["malignant.json"]["classes"] == list(group)
    held = grouped(read_predictions(run / VALIDATION), group)
    expected = threshold_for_sensitivity(held.probabilities[:, 1], held.target == 1, 0.5)
    point, of_the_bundle = files["malignant.json"]["operating_points"]
    assert point["threshold"] == halfway_threshold(expected)
    # the report and the answers of the network have the same threshold
    fitted = read_bundle(run).calibration.operating_point
    assert fitted is not None
    assert of_the_bundle["threshold"] == pytest.approx(fitted.threshold)
    assert list(files["classes.json"]) == classes
    assert files["metrics.json"]["set_coverage"]["value"] is not None
    header, *rows = (folder / "decisions.csv").read_text().splitlines()
    assert len(rows) == len(read_predictions(folder / "predictions.csv"))
    assert {"ood_score", f"set_{classes[0]}"} <= set(header.split(","))
    assert "above_threshold" in header.split(",")
    assert "group_malignant" in (folder / "predictions.csv").read_text().splitlines()[0]


def test_a_second_malignant_group_is_refused(run: Path) -> None:
    classes = list(read_bundle(run).config.classes)
    with pytest.raises(ConfigError, match="in this network the group is basal_cell_carcinoma"):
        run_evaluation(EvaluateConfig(run=str(run), resamples=5, malignant=classes[:1]))


def test_a_group_of_no_class_is_a_mistake_of_the_user(run: Path) -> None:
    with pytest.raises(ConfigError, match="'cancer' is not a class of this network"):
        run_evaluation(EvaluateConfig(run=str(run), resamples=5, malignant=["cancer"]))
