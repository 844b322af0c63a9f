"""Runs of folds or seeds as one bundle."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file, save_file

from agfnet.bundle import Calibration, read_bundle, read_similar
from agfnet.config import (
    Backend,
    CalibrationConfig,
    EnsembleConfig,
    EvaluateConfig,
    ExplainConfig,
    ExportConfig,
)
from agfnet.config.renamed import run_settings
from agfnet.data.folds import draw_folds, read_split
from agfnet.data.table import read_cases, write_cases
from agfnet.errors import ConfigError, RunError
from agfnet.evaluation.calibrate import calibrate_run
from agfnet.evaluation.ensemble import join_runs, scaling_of
from agfnet.evaluation.inputs import read_inputs
from agfnet.evaluation.members import member_settings
from agfnet.evaluation.overlap import training_overlap
from agfnet.evaluation.run import evaluate_run
from agfnet.explain.run import explain
from agfnet.export.run import export_run
from agfnet.files import seal
from agfnet.inference.postprocessing import log_softmax
from agfnet.inference.predictions import read_predictions
from agfnet.inference.predictor import Predictor
from agfnet.inference.similar import lesion_features, similar_lesions
from agfnet.training.run_folder import describe_table

MODALITIES = ("clinical", "ultrasound")
FOLDS = 3


def member(source: Path, folder: Path, seed: int, change: dict[str, Any] | None = None) -> Path:
    """Copy a run, with other weights and other settings of its data."""
    run = Path(shutil.copytree(source, folder))
    path = run / "bundle" / "model.safetensors"
    rng = np.random.default_rng(seed)
    weights = load_file(path)
    save_file(
        {
            name: values + (0.05 * rng.normal(size=values.shape) * np.abs(values)).astype("f4")
            if values.dtype == np.float32
            else values
            for name, values in weights.items()
        },
        path,
    )
    seal(run / "bundle")
    settings = yaml.safe_load((run / "config.yaml").read_text())
    settings |= {"seed": seed, "name": folder.name}
    settings["data"] |= change or {}
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    return run


@pytest.fixture(scope="module")
def seeds(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs of the same split."""
    folder = tmp_path_factory.mktemp("seeds")
    return [member(trained, folder / f"seed{seed}", seed) for seed in (1, 2)]


@pytest.fixture(scope="module")
def folds(trained: Path, cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three runs, each of which tested on another fold of one table."""
    folder = tmp_path_factory.mktemp("folds")
    cases = [replace(case, split="") for case in read_cases(cohort, modalities=MODALITIES)]
    table = folder / "folds.csv"
    write_cases(draw_folds(cases, folds=FOLDS), table, modalities=MODALITIES)
    runs = []
    for fold in range(FOLDS):
        run = member(trained, folder / f"fold{fold}", fold, {"cases": str(table), "fold": fold})
        split = read_split(table, modalities=MODALITIES, fold=fold)
        path = run / "environment.json"
        environment = json.loads(path.read_text()) | {"table": describe_table(split)}
        path.write_text(json.dumps(environment))
        runs.append(run)
    return runs


@pytest.fixture(scope="module")
def of_seeds(seeds: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ensembles") / "seeds"
    return join_runs(EnsembleConfig(runs=[str(run) for run in seeds], out=str(out)))


@pytest.fixture(scope="module")
def of_folds(folds: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ensembles") / "folds"
    return join_runs(EnsembleConfig(runs=[str(run) for run in folds], out=str(out)))


def cases_of(run: Path, split: str) -> list[Any]:
    settings = yaml.safe_load((run / "config.yaml").read_text())["data"]
    table = read_split(settings["cases"], modalities=MODALITIES, fold=settings.get("fold"))
    return [case for case in table if case.split == split]


def test_a_prediction_is_the_mean_of_the_calibrated_members(
    of_seeds: Path, seeds: list[Path]
) -> None:
    cases = cases_of(seeds[0], "test")[:4]
    scaled = []
    for run in seeds:
        predictor = Predictor.load(run, backend="torch")
        for case, diagnosis in zip(cases, predictor.stream(c.images for c in cases), strict=True):
            del case
            scaled.append(np.log(diagnosis.frames))  # calibrated, by frame
    ensemble = Predictor.load(of_seeds)
    temperature = ensemble.bundle.calibration.temperature
    for number, diagnosis in enumerate(ensemble.stream(case.images for case in cases)):
        mean = (scaled[number] + scaled[number + len(cases)]) / 2
        expected = log_softmax(mean).mean(axis=0) / temperature
        np.testing.assert_allclose(
            np.log(diagnosis.probabilities), log_softmax(expected), atol=1e-4
        )


@pytest.mark.slow
def test_the_ensemble_is_a_run_like_any_other(
    of_seeds: Path, tmp_path: Path, fits_schema: Callable[[str, Any], None]
) -> None:
    fits_schema("ensemble.json", json.loads((of_seeds / "ensemble.json").read_text()))
    run = Path(shutil.copytree(of_seeds, tmp_path / "run"))
    bundle = read_bundle(run)
    assert bundle.config.members == 2
    assert "ensemble of 2 x agfnet" in (bundle.folder / "card.md").read_text()
    export_run(ExportConfig(run=str(run)))  # compares the graph with torch
    case = next(case for case in cases_of(run, "test") if all(case.images.values()))
    images = {name: str(paths[0]) for name, paths in case.images.items()}
    out = tmp_path / "explanation"
    methods = ["guide", "gradcam", "attention"]
    explain(ExplainConfig(model=str(run), images=images, out=str(out), methods=methods))
    assert json.loads((out / "explanation.json").read_text())["probabilities"]
    scoring = EvaluateConfig(run=str(run), resamples=2, max_focus_lesions=0)
    assert evaluate_run(scoring).metrics["n"] > 0  # with the graph


@pytest.mark.slow
def test_similar_lesions_are_by_the_features_of_all_members(
    of_seeds: Path, seeds: list[Path], tmp_path: Path
) -> None:
    run = Path(shutil.copytree(of_seeds, tmp_path / "run"))
    calibrate_run(run, config=replace(CalibrationConfig(), similar=5))
    index = read_similar(read_bundle(run))
    assert index is not None
    assert len(index.lesion_ids) == 5
    images = next(c.images for c in cases_of(run, "train") if c.lesion_id == index.lesion_ids[2])
    predictors = [Predictor.load(each, backend="torch") for each in seeds]
    parts = [lesion_features(predictor, images) for predictor in predictors]
    expected = np.concatenate([part for part in parts if part is not None])
    export_run(ExportConfig(run=str(run)))
    backends: tuple[Backend, ...] = ("torch", "onnx")
    for backend in backends:
        features = lesion_features(Predictor.load(run, backend=backend), images)
        assert features is not None
        np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-3)
        assert similar_lesions(features, index, 1)[0].lesion_id == index.lesion_ids[2]


def test_seeds_are_calibrated_on_their_validation_split(of_seeds: Path, seeds: list[Path]) -> None:
    held = read_predictions(of_seeds / "validation.csv")
    assert list(held.lesion_id) == [case.lesion_id for case in cases_of(seeds[0], "val")]


@pytest.mark.slow
def test_folds_are_calibrated_on_predictions_of_members_that_did_not_train_on_the_patient(
    of_folds: Path, folds: list[Path]
) -> None:
    held = read_predictions(of_folds / "validation.csv")
    trained = [{case.patient_id for case in cases_of(run, "train")} for run in folds]
    validated = [{case.lesion_id for case in cases_of(run, "val")} for run in folds]
    assert set(held.lesion_id) == set.union(*validated)
    used = [[i for i in range(FOLDS) if patient not in trained[i]] for patient in held.patient_id]
    assert {len(members) for members in used} == {2, 3}  # validates some, tests another
    predictors = [Predictor.load(run, backend="torch") for run in folds]
    temperature = read_bundle(of_folds).calibration.temperature
    by_id = {case.lesion_id: case for case in cases_of(folds[0], "train")}
    by_id |= {c.lesion_id: c for split in ("val", "test") for c in cases_of(folds[0], split)}
    rows = [*range(4), next(i for i, members in enumerate(used) if len(members) == 3)]
    for row in rows:
        images = by_id[held.lesion_id[row]].images
        parts = [np.log(next(predictors[i].stream([images])).frames) for i in used[row]]
        mean = log_softmax(np.mean(parts, axis=0)).mean(axis=0) / temperature
        np.testing.assert_allclose(np.log(held.probabilities[row]), log_softmax(mean), atol=1e-4)


def test_folds_leave_nothing_to_test_on(of_folds: Path) -> None:
    with pytest.raises(RunError, match="tested on different folds"):
        read_inputs(EvaluateConfig(run=str(of_folds)))
    settings = yaml.safe_load((of_folds / "config.yaml").read_text())
    inputs = read_inputs(EvaluateConfig(run=str(of_folds), cases=settings["data"]["cases"]))
    overlap = training_overlap(inputs)
    assert overlap is not None
    assert overlap["lesions"] == len(inputs.cases)


def test_an_ensemble_finds_a_table_that_moved_with_it(of_folds: Path, tmp_path: Path) -> None:
    recorded = Path(yaml.safe_load((of_folds / "config.yaml").read_text())["data"]["cases"])
    there = os.path.relpath(recorded, of_folds)
    assert json.loads((of_folds / "environment.json").read_text())["cases"] == there
    run = tmp_path / "a" / "b" / "run"
    shutil.copytree(of_folds, run)
    table = (run / there).resolve()
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_bytes(recorded.read_bytes())
    for path in (run / "config.yaml", run / "ensemble.json"):
        path.write_text(path.read_text().replace(str(recorded), "/nowhere/folds.csv"))
    found = {settings["data"]["cases"] for settings in member_settings(run, run_settings(run))}
    assert found == {str(table)}


def test_an_ensemble_can_be_calibrated_again(of_folds: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(of_folds, tmp_path / "run"))
    before = read_bundle(run).calibration
    assert calibrate_run(run) == before


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda c: c | {"size": 96}, "other image size"),
        (lambda c: c | {"classes": c["classes"][::-1]}, "other classes"),
        (lambda c: c | {"modalities": dict([*c["modalities"].items()][::-1])}, None),
    ],
)
def test_runs_that_do_not_fit_are_refused(
    seeds: list[Path],
    tmp_path: Path,
    spoil: Callable[[dict[str, Any]], dict[str, Any]],
    message: str | None,
) -> None:
    other = Path(shutil.copytree(seeds[1], tmp_path / "other"))
    path = other / "bundle" / "config.json"
    path.write_text(json.dumps(spoil(json.loads(path.read_text()))))
    seal(other / "bundle")
    out = tmp_path / "out"
    with pytest.raises(RunError, match=message or "other modalities"):
        join_runs(EnsembleConfig(runs=[str(seeds[0]), str(other)], out=str(out)))
    assert not out.exists()


def test_logit_adjustment_of_the_members_is_not_added_twice() -> None:
    plain = Calibration(scale=(0.5, 0.5), bias=(0.25, 0.0))
    adjusted = replace(plain, bias=(1.25, -1.0), offsets=(1.0, -1.0), logit_adjustment=1.0)
    for found, expected in zip(scaling_of(adjusted, 2), scaling_of(plain, 2), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_one_run_and_an_existing_folder_are_refused(seeds: list[Path], tmp_path: Path) -> None:
    for runs in ([seeds[0]], [seeds[0], seeds[0]]):
        with pytest.raises(ConfigError, match="two runs or more"):
            join_runs(EnsembleConfig(runs=[str(run) for run in runs], out=str(tmp_path / "x")))
    with pytest.raises(ConfigError, match="exists"):
        join_runs(EnsembleConfig(runs=[str(run) for run in seeds], out=str(tmp_path)))


def test_one_network_does_not_count_twice(seeds: list[Path], tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(seeds[0])
    copy = shutil.copytree(seeds[0], tmp_path / "copy")
    for again in (tmp_path / "link", copy):
        runs = [str(run) for run in (*seeds, again)]
        with pytest.raises(RunError, match=f"{again}: holds the same network as {seeds[0]}"):
            join_runs(EnsembleConfig(runs=runs, out=str(tmp_path / "out")))


def test_a_member_without_its_environment_is_refused(seeds: list[Path], tmp_path: Path) -> None:
    other = Path(shutil.copytree(seeds[1], tmp_path / "other"))
    (other / "environment.json").write_text("")
    with pytest.raises(RunError, match=r"other: no readable environment\.json"):
        join_runs(EnsembleConfig(runs=[str(seeds[0]), str(other)], out=str(tmp_path / "out")))


def test_runs_of_different_tables_are_refused(seeds: list[Path], tmp_path: Path) -> None:
    other = Path(shutil.copytree(seeds[1], tmp_path / "other"))
    path = other / "environment.json"
    environment = json.loads(path.read_text())
    environment["table"]["columns"]["lesion_id"] = "0" * 16
    path.write_text(json.dumps(environment))
    with pytest.raises(RunError, match="another table"):
        join_runs(EnsembleConfig(runs=[str(seeds[0]), str(other)], out=str(tmp_path / "out")))
