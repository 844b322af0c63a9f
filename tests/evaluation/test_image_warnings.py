"""Images that are missing, or of another kind than in training, are said with the metrics."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agfnet.bundle import BundleConfig, read_bundle
from agfnet.config import EvaluateConfig
from agfnet.evaluation.image_warnings import image_warnings
from agfnet.evaluation.inputs import run_folder
from agfnet.inference.diagnosis import Diagnosis
from agfnet.report.run import run_evaluation
from agfnet.terminal import show_result
from agfnet.translation import in_language, translate_filled


@pytest.fixture(scope="module")
def config(trained: Path) -> BundleConfig:
    return read_bundle(run_folder(trained) / "bundle").config


def diagnosis(*modalities: str, distance: float = 0.5) -> Diagnosis:
    return Diagnosis(
        probabilities=np.array([0.6, 0.4]),
        frames=np.array([[0.6, 0.4]]),
        images=({name: Path(f"{name}.png") for name in modalities},),
        distances={"clinical": distance},
    )


BOTH = ("clinical", "ultrasound")


def test_a_modality_that_no_lesion_has_is_named(config: BundleConfig) -> None:
    optional = replace(config, optional=BOTH)
    without = [diagnosis("clinical"), diagnosis("clinical")]
    (text,) = image_warnings(without, optional)
    assert text == "2 of 2 lesions have no image of ultrasound."
    assert image_warnings([diagnosis("clinical"), diagnosis(*BOTH)], optional) == []
    needed = replace(config, optional=())
    (text,) = image_warnings([diagnosis("clinical"), diagnosis(*BOTH)], needed)
    assert text.startswith("1 of 2 lesions have no image of ultrasound, although")


def test_pictures_of_another_kind_are_counted(config: BundleConfig) -> None:
    (text,) = image_warnings([diagnosis(*BOTH, distance=9), diagnosis(*BOTH)], config)
    assert text.startswith("1 of 2 lesions have a picture of another kind")
    with in_language("zh", {}):
        assert translate_filled(text).startswith("2 个皮损中有 1 个的图像与训练图像类型不同")


def test_they_are_said_on_the_terminal_in_the_metrics_and_in_the_report(
    trained: Path, cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with cohort.open(newline="") as file:
        row = next(csv.DictReader(file))
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    table = tmp_path / "new.csv"
    photo = cohort.parent / row["clinical"].split("|")[0]
    table.write_text(f"lesion_id,clinical,ultrasound\na,{photo},\n")
    folder = run_evaluation(EvaluateConfig(run=str(run), cases=str(table), resamples=5))
    (text, *_) = json.loads((folder / "metrics.json").read_text())["warnings"]
    assert text.startswith("1 of 1 lesions have no image of ultrasound")
    show_result(folder)
    said = capsys.readouterr().out
    assert f"Warning: {text}" in said
    assert "No lesion has a label" in said
    assert text in (folder / "report.html").read_text(encoding="utf-8")
