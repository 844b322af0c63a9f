"""A study file for an own cohort, and the estimate of its time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from agfnet.cli import main
from agfnet.config import TrainConfig
from agfnet.config.dotted import value_of
from agfnet.study import init
from agfnet.study.plan import read_study
from agfnet.study.timing import Estimate, estimate
from agfnet.training.presets import make_plan
from agfnet.training.timing import Speed, run_seconds

PARTS = ["train"] * 8 + ["val"] * 4 + ["test"] * 4


@pytest.fixture
def own_table(tmp_path, monkeypatch):
    """Writes a table of 16 lesions of two classes: own_table(columns={name: cells})."""
    monkeypatch.chdir(tmp_path)
    for name in ("photo", "echo"):
        pixels = np.random.default_rng(0).integers(255, size=(32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"{name}.png")

    def write(columns, missing=()):
        rows = [",".join(["lesion_id", "label", "clinical", "sono image", *columns])]
        for number in range(16):
            echo = "" if number in missing else "echo.png"
            cells = [str(cells[number]) for cells in columns.values()]
            rows.append(",".join([f"l{number}", "ab"[number % 2], "photo.png", echo, *cells]))
        (tmp_path / "own cases.csv").write_text("\n".join(rows) + "\n")
        return "own cases.csv"

    return write


@pytest.fixture
def untimed(monkeypatch):
    monkeypatch.setattr(init, "estimate", lambda study: Estimate(seconds=7200, how="by a guess"))
    monkeypatch.setattr(
        "agfnet.training.presets.measure_speed", lambda *_: Speed(100, 10, 0.0, 0.0, 1e-3, 1e-4)
    )


def test_the_file_is_a_valid_study_of_the_table(own_table, untimed, capsys):
    assert main(["study", "--init", own_table({"split": PARTS})]) == 0
    assert "The study would take about 2.0 h, by a guess." in capsys.readouterr().out
    study = read_study("study.yaml")
    assert study.methods == (
        *("AGFnet", "concatenation", "late_fusion"),
        *("clinical only", "sono image only"),
    )
    assert len(study.runs) == 15
    config = study.runs[0].config
    assert config.data.cases == "own cases.csv"
    assert {n: m.modality_type for n, m in config.data.modalities.items()} == {
        "clinical": "photo",
        "sono image": "ultrasound",
    }
    assert config.members == 1  # the seeds are runs of the study
    given = {"data.cases", "data.modalities", "members"}
    plan = make_plan(TrainConfig(data=config.data), given)  # what `agfnet train` chooses
    assert plan.choices
    for choice in plan.choices:
        assert value_of(config, choice.setting) == choice.value
    text = (study.path).read_text()
    assert "16 lesions of 16 patients" in text
    assert "a 8 (few)" in text
    assert "about 2.0 h" in text


@pytest.mark.slow
def test_folds_and_missing_images_change_the_settings(own_table, untimed):
    folds = [number % 4 for number in range(16)]
    assert main(["study", "other.yaml", "--init", own_table({"fold": folds}, missing=[3])]) == 0
    study = read_study("other.yaml")
    assert study.file.folds == [0, 1, 2, 3]
    assert study.out.name == "other"
    assert study.runs[0].config.optim.modality_dropout == 0.2


def test_what_gives_no_study_is_refused(own_table, untimed, capsys, tmp_path):
    assert main(["study", "--init", own_table({})]) == 1
    assert "agfnet split own cases.csv folds.csv --folds 5" in capsys.readouterr().err
    assert not (tmp_path / "study.yaml").exists()
    (tmp_path / "study.yaml").write_text("mine")
    assert main(["study", "--init", own_table({"split": PARTS})]) == 2
    assert "study.yaml: exists" in capsys.readouterr().err
    assert (tmp_path / "study.yaml").read_text() == "mine"


def test_a_file_whose_time_cannot_be_estimated_is_not_left_behind(own_table, tmp_path):
    one_class = own_table({"split": ["train"] * 8 + ["test"] * 8})  # no validation case
    assert main(["study", "--init", one_class]) == 1
    assert not (tmp_path / "study.yaml").exists()


@pytest.mark.slow
def test_the_estimate_grows_with_epochs_and_runs(own_table, study_file):
    base = {
        "data": {
            "cases": own_table({"split": PARTS}),
            "size": 32,
            "modalities": {"clinical": {}, "sono image": {"modality_type": "ultrasound"}},
        },
        "model": {
            "backbone": {"name": "resnet10t", "options": {"channels": [8, 8, 8, 8]}},
            "fusion": {"dim": 16, "heads": 2, "grid": 2},
        },
        "optim": {"epochs": 100, "batch_size": 8},
    }
    study = read_study(study_file(cohort=None, base=base, methods=["AGFnet", "amfam"], seeds=[0]))
    config = study.runs[0].config
    cpu = torch.device("cpu")
    long = run_seconds(config, cpu)
    short = run_seconds(replace(config, optim=replace(config.optim, epochs=1)), cpu)
    assert long > 5 * short > 0
    timed = estimate(study)
    assert timed.seconds > 0
    assert "2 steps of each method on this machine" in timed.how
