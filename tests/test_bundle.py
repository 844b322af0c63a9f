from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from agfnet.bundle import Calibration, read_bundle, write_calibration
from agfnet.errors import BundleError
from agfnet.inference.predictor import Predictor


@pytest.fixture
def bundle(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained / "bundle", tmp_path / "bundle"))


def test_a_run_folder_and_its_bundle_are_the_same(trained: Path) -> None:
    assert read_bundle(trained).config == read_bundle(trained / "bundle").config


def test_no_path_of_the_training_machine_travels(trained: Path, bundle: Path) -> None:
    for file in ("config.json", "card.md"):
        assert str(trained.parent) not in (bundle / file).read_text()


def test_calibration_is_replaced(bundle: Path) -> None:
    write_calibration(read_bundle(bundle), Calibration(temperature=2.5))
    assert read_bundle(bundle).calibration.temperature == 2.5


@pytest.mark.parametrize("name", ["config.json", "calibration.json", "model.safetensors"])
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=name):
        read_bundle(bundle)


def test_a_newer_schema_is_refused(bundle: Path) -> None:
    config = json.loads((bundle / "config.json").read_text())
    (bundle / "config.json").write_text(json.dumps(config | {"schema": 99}))
    with pytest.raises(BundleError, match="update agfnet"):
        read_bundle(bundle)


@pytest.mark.parametrize("text", ["", "{", '{"classes": 3}'])
def test_a_damaged_file_is_named_in_one_line(bundle: Path, text: str) -> None:
    (bundle / "config.json").write_text(text)
    with pytest.raises(BundleError, match=r"config\.json: damaged") as error:
        read_bundle(bundle)
    assert "\n" not in str(error.value)


def test_damaged_weights_are_refused(bundle: Path) -> None:
    weights = bundle / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(BundleError, match=r"model\.safetensors"):
        Predictor.load(bundle)
