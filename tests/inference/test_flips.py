"""Predictions that are averaged over flips."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from agfnet.bundle import Bundle, Calibration, read_bundle, write_calibration
from agfnet.config import CalibrationConfig, ExplainConfig, ExportConfig
from agfnet.data.table import read_cases
from agfnet.evaluation.calibrate import calibrate_run
from agfnet.explain.run import explain
from agfnet.export.run import export_run
from agfnet.inference.flips import HEIGHT, flip_passes
from agfnet.inference.predictions import read_predictions
from agfnet.inference.predictor import Predictor
from agfnet.inference.torch_backend import TorchBackend


def test_an_ultrasound_image_is_never_turned_over() -> None:
    for types in (("photo", "ultrasound"), ("ultrasound", "photo", "photo"), ("ultrasound",)):
        passes = flip_passes(types)
        assert passes[0] == ((),) * len(types)
        assert len(set(passes)) == len(passes) == (4 if "photo" in types else 2)
        for axes in passes:
            for kind, flipped in zip(types, axes, strict=True):
                assert kind == "photo" or HEIGHT not in flipped


def images_of(bundle: Bundle, rows: int = 3) -> tuple[list[np.ndarray], np.ndarray]:
    size, count = bundle.config.size, len(bundle.config.modalities)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (rows, size, size, 3), dtype=np.uint8) for _ in range(count)]
    present = np.ones((rows, count), dtype=bool)
    present[1, 0] = False
    return images, present


@pytest.fixture(scope="module")
def flipped(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was calibrated with flips and exported."""
    run = Path(shutil.copytree(trained, tmp_path_factory.mktemp("flips") / "run"))
    calibrate_run(run, config=CalibrationConfig(flips=True))
    export_run(ExportConfig(run=str(run)))
    return run


def test_logits_are_the_mean_over_the_flips(trained: Path) -> None:
    bundle = read_bundle(trained)
    images, present = images_of(bundle)
    plain = TorchBackend(bundle=bundle)
    photo, ultrasound = images
    by_hand = [
        plain.logits([np.ascontiguousarray(a), np.ascontiguousarray(b)], present)
        for a, b in (
            (photo, ultrasound),
            (photo[:, :, ::-1], ultrasound[:, :, ::-1]),
            (photo[:, ::-1], ultrasound),
            (photo[:, ::-1, ::-1], ultrasound[:, :, ::-1]),
        )
    ]
    bundle = replace(bundle, calibration=replace(bundle.calibration, flips=True))
    values = TorchBackend(bundle=bundle).logits(images, present)
    np.testing.assert_allclose(values, np.mean(by_hand, axis=0), atol=1e-5)
    assert np.abs(values - by_hand[0]).max() > 1e-4


@pytest.mark.slow
def test_the_calibration_is_fitted_with_the_flips(flipped: Path, trained: Path) -> None:
    fitted = read_bundle(flipped).calibration
    assert fitted.flips
    assert not read_bundle(trained).calibration.flips
    held = read_predictions(flipped / "validation.csv")
    bundle = read_bundle(flipped)
    cases = [
        case
        for case in read_cases(table_of(flipped), modalities=tuple(bundle.config.modalities))
        if case.split == "val"
    ]
    again = Predictor.load(flipped, backend="torch").predict(cases)
    np.testing.assert_allclose(held.probabilities, again.probabilities, atol=1e-5)


def table_of(run: Path) -> str:
    """Return the path of the table of a run."""
    settings = yaml.safe_load((run / "config.yaml").read_text())
    return str(settings["data"]["cases"])


@pytest.mark.slow
def test_the_graph_has_the_flips(flipped: Path) -> None:
    bundle = read_bundle(flipped)
    images, present = images_of(bundle)
    graph, network = (Predictor.load(flipped, backend=name).backend for name in ("onnx", "torch"))
    np.testing.assert_allclose(
        graph.logits(images, present), network.logits(images, present), atol=1e-4
    )


@pytest.mark.slow
def test_a_changed_setting_takes_effect_in_spite_of_the_graph(
    flipped: Path, trained: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(flipped, tmp_path / "run"))
    assert calibrate_run(run, config=CalibrationConfig()) == read_bundle(trained).calibration
    assert "model.onnx" not in read_bundle(run).files


def test_a_bundle_without_the_entry_has_no_flips(trained: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained / "bundle", tmp_path / "bundle"))
    entries = json.loads((folder / "calibration.json").read_text())
    del entries["flips"]
    write_calibration(read_bundle(folder), Calibration(**entries))
    assert not read_bundle(folder).calibration.flips


@pytest.mark.slow
def test_an_explanation_shows_the_probabilities_of_the_prediction(
    flipped: Path, tmp_path: Path
) -> None:
    bundle = read_bundle(flipped)
    table = read_cases(table_of(flipped), modalities=tuple(bundle.config.modalities))
    case = next(case for case in table if all(case.images.values()))
    images = {name: str(paths[0]) for name, paths in case.images.items()}
    config = ExplainConfig(
        model=str(flipped), images=images, out=str(tmp_path / "out"), methods=["guide"]
    )
    explain(config)
    shown = json.loads((tmp_path / "out" / "explanation.json").read_text())["probabilities"]
    answer = Predictor.load(flipped).diagnose({k: [Path(v)] for k, v in images.items()})
    expected = dict(zip(bundle.config.classes, answer.probabilities, strict=True))
    assert shown == pytest.approx(expected, abs=1e-3)
