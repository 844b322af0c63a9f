"""A run from start to end: its folder, its repeatability, and what stopping it does."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import load_file

from agfnet.bundle import read_bundle
from agfnet.config import EvaluateConfig, TrainConfig
from agfnet.data.folds import draw_folds, fold_split
from agfnet.data.table import read_cases, write_cases
from agfnet.errors import DataError, RunError
from agfnet.evaluation.network_warnings import read_history
from agfnet.inference.predictions import read_predictions
from agfnet.metrics.summary import METRICS
from agfnet.report.run import run_evaluation
from agfnet.study.preset import reproduced
from agfnet.study.run import run


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def weights(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "bundle" / "model.safetensors")


def same_weights(a: Path, b: Path) -> bool:
    first, second = weights(a), weights(b)
    return first.keys() == second.keys() and all(
        np.array_equal(first[name], second[name]) for name in first
    )


@pytest.mark.slow
def test_run_folder_holds_what_the_contract_says(evaluated: Path, settings: TrainConfig) -> None:
    for name in (
        "config.yaml",
        "environment.json",
        "history.csv",
        "checkpoints/last.ckpt",
        "checkpoints/best.ckpt",
        "bundle/model.safetensors",
        "bundle/config.json",
        "bundle/calibration.json",
        "bundle/card.md",
        "evaluation/test/predictions.csv",
        "evaluation/test/metrics.json",
        "evaluation/test/report.html",
    ):
        assert (evaluated / name).is_file(), name
    recorded = yaml.safe_load((evaluated / "config.yaml").read_text())
    assert recorded == json.loads(json.dumps(asdict(settings)))
    environment = json.loads((evaluated / "environment.json").read_text())
    assert environment["seed"] == 0
    assert len(environment["data_sha256"]) == 64
    assert environment["packages"]["torch"]


def test_history_has_a_row_per_epoch(trained: Path) -> None:
    rows = rows_of(trained / "history.csv")
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert {"lr", "val_nll", "val_balanced_accuracy", "train_loss", "train_reconstruction"} <= set(
        rows[0]
    )


def test_predictions_and_metrics_follow_the_contract(evaluated: Path, cohort: Path) -> None:
    folder = evaluated / "evaluation" / "test"
    rows = rows_of(folder / "predictions.csv")
    test = [c for c in read_cases(cohort, modalities=("clinical",)) if c.split == "test"]
    assert [row["lesion_id"] for row in rows] == [case.lesion_id for case in test]
    classes = json.loads((evaluated / "bundle" / "config.json").read_text())["classes"]
    columns = ["lesion_id", "patient_id", "label", "predicted", *(f"p_{c}" for c in classes)]
    groups = [name for name in rows[0] if name.startswith("group_")]
    assert groups[:1] == ["group_malignant"]
    assert list(rows[0]) == [*columns, *groups]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics) >= {*METRICS, "n"}
    assert metrics["n"] == len(test)
    assert metrics["accuracy"]["value"] == pytest.approx(
        np.mean([row["label"] == row["predicted"] for row in rows])
    )


@pytest.mark.slow
def test_the_same_seed_gives_the_same_network(evaluated: Path, settings: TrainConfig) -> None:
    again = run(replace(settings, name="again"), bar=False)
    assert same_weights(evaluated, again)
    table = "evaluation/test/predictions.csv"
    assert (evaluated / table).read_bytes() == (again / table).read_bytes()


@pytest.mark.slow
def test_another_seed_gives_another_network(trained: Path, settings: TrainConfig) -> None:
    assert not same_weights(trained, run(replace(settings, name="other", seed=1), bar=False))


def test_a_taken_name_is_refused(trained: Path, settings: TrainConfig) -> None:
    with pytest.raises(RunError, match="exists"):
        run(settings, bar=False)
    changed = replace(settings, seed=5, resume=True)
    with pytest.raises(RunError, match=r"other settings \(seed\)"):
        run(changed, bar=False)


@pytest.mark.slow
def test_options_of_training(settings: TrainConfig) -> None:
    config = replace(
        settings,
        name="options",
        loss=replace(settings.loss, class_weights="balanced", label_smoothing=0.1),
        optim=replace(
            settings.optim, ema=0.9, patience=1, modality_dropout=0.5, precision="bf16-mixed"
        ),
        data=replace(
            settings.data,
            workers=1,
            labels={"dark": ["naevus", "melanoma"], "red": ["haemangioma"]},
        ),
    )
    folder = run(config, bar=False)
    metrics = json.loads((folder / "evaluation" / "test" / "metrics.json").read_text())
    rows = rows_of(folder / "evaluation" / "test" / "predictions.csv")
    test = [
        c for c in read_cases(settings.data.cases, modalities=("clinical",)) if c.split == "test"
    ]
    names = {"naevus": "dark", "melanoma": "dark", "haemangioma": "red"}
    expected = {case.lesion_id: names[case.label] for case in test if case.label in names}
    assert {row["lesion_id"]: row["label"] for row in rows} == expected
    correct = np.mean([row["label"] == row["predicted"] for row in rows])
    assert metrics["accuracy"]["value"] == pytest.approx(correct)
    checkpoint = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    averaged, current = checkpoint["state_dict"], checkpoint["current_model_state"]
    moved = [key for key in averaged if key.endswith("weight")]
    assert not any(torch.equal(averaged[key], current[key]) for key in moved)
    bundled = weights(folder)
    assert all(value.dtype != np.float16 and np.isfinite(value).all() for value in bundled.values())
    np.testing.assert_array_equal(
        bundled["head.2.weight"], averaged["task.supervised.model.head.2.weight"].numpy()
    )
    classes = json.loads((folder / "bundle" / "config.json").read_text())["classes"]
    assert classes == ["dark", "red"]


def test_a_table_without_split_is_refused(
    settings: TrainConfig, cohort: Path, tmp_path: Path
) -> None:
    names = ("clinical", "ultrasound")
    cases = [replace(case, split="") for case in read_cases(cohort, modalities=names)]
    write_cases(cases, tmp_path / "cases.csv", modalities=names)
    data = replace(settings.data, cases=str(tmp_path / "cases.csv"))
    with pytest.raises(DataError, match="agfnet split"):
        run(replace(settings, data=data, runs=str(tmp_path)), bar=False)


@pytest.mark.slow
def test_a_run_tests_on_its_fold(settings: TrainConfig, cohort: Path, tmp_path: Path) -> None:
    names = ("clinical", "ultrasound")
    cases = [replace(case, split="") for case in read_cases(cohort, modalities=names)]
    folded = draw_folds(cases, folds=3)
    write_cases(folded, tmp_path / "cases.csv", modalities=names)
    data = replace(settings.data, cases=str(tmp_path / "cases.csv"), fold=1)
    folder = run(replace(settings, data=data, runs=str(tmp_path)), bar=False)
    rows = rows_of(folder / "evaluation" / "test" / "predictions.csv")
    split = fold_split(folded, 1)
    assert [row["lesion_id"] for row in rows] == [c.lesion_id for c in split if c.split == "test"]
    again = run_evaluation(EvaluateConfig(run=str(folder), split="val", resamples=10))
    rows = rows_of(again / "predictions.csv")
    assert [row["lesion_id"] for row in rows] == [c.lesion_id for c in split if c.split == "val"]


@pytest.mark.slow
def test_ctrl_c_leaves_a_run_that_resume_finishes(settings: TrainConfig, tmp_path: Path) -> None:
    longer = replace(
        settings,
        name="stopped",
        runs=str(tmp_path),
        optim=replace(settings.optim, epochs=6),
    )
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump(json.loads(json.dumps(asdict(longer)))))
    command = [sys.executable, "-m", "agfnet", "train", "--config", str(file)]
    folder = tmp_path / "stopped"
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        env=one_thread(),
        # a shell's background job, and all that it starts, would ignore it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    last = folder / "checkpoints" / "last.ckpt"
    wait_for(last, process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "--resume" in errors
    assert "Traceback" not in errors
    assert not (folder / "bundle").exists()

    mark_first_epoch(last)
    done = subprocess.run(
        [*command, "--resume"], capture_output=True, text=True, env=one_thread(), check=False
    )
    assert done.returncode == 0, done.stderr
    undisturbed = subprocess.run(
        [*command, "--name", "undisturbed"], capture_output=True, env=one_thread(), check=False
    )
    assert undisturbed.returncode == 0
    first, *history = rows_of(folder / "history.csv")
    assert first["lr"] == MARK  # the first epoch was not trained again
    assert history == rows_of(tmp_path / "undisturbed" / "history.csv")[1:]
    assert same_weights(folder, tmp_path / "undisturbed")


MARK = "-1.0"


def mark_first_epoch(path: Path) -> None:
    """Change the history in a checkpoint, so that training from it can be recognised."""
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["callbacks"]["History"]["rows"][0]["lr"] = float(MARK)
    torch.save(checkpoint, path)


def one_thread() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_members_are_trained_joined_and_continued(
    settings: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(settings, runs=str(tmp_path), name="three", members=3, seed=4)

    def interrupted(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as change:
        change.setattr("agfnet.study.run.write_members", interrupted)
        with pytest.raises(RuntimeError, match="killed"):
            run(config, bar=False)
    with pytest.raises(RunError, match="a run of this name exists"):
        run(config, bar=False)
    with pytest.raises(RunError, match=r"other settings \(members\)"):
        run(replace(config, members=2, resume=True), bar=False)
    members = sorted((tmp_path / "three" / "members").iterdir())
    assert [path.name for path in members] == ["seed4", "seed5", "seed6"]
    written = [(path / "bundle" / "model.safetensors").stat().st_mtime_ns for path in members]

    folder = run(replace(config, resume=True), bar=False)
    assert written == [
        (path / "bundle" / "model.safetensors").stat().st_mtime_ns for path in members
    ]
    assert yaml.safe_load((folder / "config.yaml").read_text())["members"] == 3
    assert read_bundle(folder).config.members == 3
    assert not same_weights(members[0], members[1])
    mean = sum(np.log(read_predictions(path / "validation.csv").probabilities) for path in members)
    joined = np.log(read_predictions(folder / "validation.csv").probabilities)
    # one temperature is fitted to the mean
    centred = [values - values.mean(axis=1, keepdims=True) for values in (mean, joined)]
    factors = centred[1] / centred[0]
    assert np.allclose(factors, factors.flat[0], rtol=1e-3)
    report = (folder / "evaluation" / "test" / "report.html").read_text()
    assert "log-probabilities of 3 networks" in report
    losses = [rows_of(path / "history.csv")[-1]["val_nll"] for path in members]
    assert read_history(folder)[-1]["val_nll"] == pytest.approx(np.mean([*map(float, losses)]))

    again = reproduced(folder, TrainConfig(data=settings.data, runs=str(tmp_path)), {"runs"})
    assert again.members == 3
