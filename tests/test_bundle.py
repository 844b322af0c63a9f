from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from agfnet.bundle import (
    Abstention,
    Calibration,
    PredictionSets,
    read_bundle,
    write_bundle,
    write_calibration,
)
from agfnet.cli import main
from agfnet.errors import BundleError
from agfnet.files import finish_change, seal
from agfnet.inference.predictor import Predictor

from .interruption import interruptions


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


def test_a_full_calibration_comes_back_as_it_was(bundle: Path) -> None:
    full = Calibration(
        scale=(1.0, 2.0),
        bias=(0.5, -0.5),
        sets=PredictionSets(
            score="raps", coverage=0.9, by_class=True, quantiles=(0.4, None), penalty=0.1, rank=2
        ),
        abstention=Abstention(
            threshold=0.7, target_risk=0.1, confidence=0.95, bound=0.08, coverage=0.6
        ),
        ood_threshold=-2.5,
        cases=40,
        patients=30,
    )
    write_calibration(read_bundle(bundle), full)
    assert read_bundle(bundle).calibration == full


def write_old(bundle: Path, schema: int, method: str = "concatenation") -> None:
    """Give a bundle the settings of an older schema; its weights are not read here."""
    path = bundle / "config.json"
    config = json.loads(path.read_text()) | {"schema": schema, "agfnet": "0.1.0"}
    config["model"] |= {"method": method}
    path.write_text(json.dumps(config))


def test_a_calibration_of_the_first_version_is_read(bundle: Path) -> None:
    write_old(bundle, 1)
    (bundle / "SHA256SUMS").unlink(missing_ok=True)
    (bundle / "calibration.json").write_text('{"temperature": 1.5}')
    assert read_bundle(bundle).calibration == Calibration(temperature=1.5)


def test_a_threshold_of_rounding_errors_warns_of_nothing(bundle: Path) -> None:
    write_calibration(read_bundle(bundle), Calibration(ood_threshold=2.2e-16))
    assert read_bundle(bundle).calibration == Calibration()


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
    seal(bundle)
    with pytest.raises(BundleError, match=r"config\.json: damaged.*; copy the whole") as error:
        read_bundle(bundle)
    assert "\n" not in str(error.value)


def test_damaged_weights_are_refused(bundle: Path) -> None:
    weights = bundle / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(BundleError, match=r"model\.safetensors"):
        Predictor.load(bundle)


def test_whoever_reads_the_settings_reads_the_weights(trained: Path) -> None:
    settings, weights = (trained / "bundle" / name for name in ("config.json", "model.safetensors"))
    assert weights.stat().st_mode == settings.stat().st_mode


def test_sums_are_those_of_sha256sum(bundle: Path) -> None:
    for line in (bundle / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((bundle / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("name", ["config.json", "calibration.json", "card.md"])
def test_a_changed_file_is_refused(bundle: Path, name: str) -> None:
    (bundle / name).write_text((bundle / name).read_text() + " ")
    with pytest.raises(BundleError, match="SHA-256 differs"):
        read_bundle(bundle)


def test_a_flipped_bit_in_the_weights_is_found(bundle: Path) -> None:
    content = bytearray((bundle / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (bundle / "model.safetensors").write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.safetensors: is not the file"):
        read_bundle(bundle)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "..", "..\\x", ""])
def test_a_path_that_leads_outside_is_refused(bundle: Path, name: str) -> None:
    with (bundle / "SHA256SUMS").open("a") as file:
        file.write(f"{'0' * 64}  {name}\n")
    with pytest.raises(BundleError, match=r"SHA256SUMS:\d+: .* plain name"):
        read_bundle(bundle)


def test_a_link_is_refused(bundle: Path, tmp_path: Path) -> None:
    (bundle / "card.md").rename(tmp_path / "card.md")
    (bundle / "card.md").symlink_to(tmp_path / "card.md")
    with pytest.raises(BundleError, match=r"card\.md, or it is a link"):
        read_bundle(bundle)


def test_a_pickle_that_calls_itself_safetensors_is_not_opened(bundle: Path) -> None:
    (bundle / "model.safetensors").write_bytes(pickle.dumps({"weight": [1.0]}))
    seal(bundle)
    for use in (read_bundle, Predictor.load):
        with pytest.raises(BundleError, match="is not a safetensors file") as error:
            use(bundle)
        assert "\n" not in str(error.value)


def test_weights_of_another_network_are_one_line(bundle: Path) -> None:
    (bundle / "model.safetensors").write_bytes(save({"weight": np.ones(3, dtype=np.float32)}))
    seal(bundle)
    with pytest.raises(BundleError, match=r"model\.safetensors: does not fit") as error:
        Predictor.load(bundle)
    assert "\n" not in str(error.value)
    assert len(str(error.value).split("config.json (")[1]) <= 230


@pytest.mark.parametrize("fault", ["bit", "missing", "schema", "path", "pickle"])
def test_verify_refuses_each_with_one_line(
    bundle: Path, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, config = bundle / "model.safetensors", bundle / "config.json"
    if fault == "bit":
        data = weights.read_bytes()
        weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif fault == "missing":
        (bundle / "card.md").unlink()
    elif fault == "schema":
        config.write_text(json.dumps(json.loads(config.read_text()) | {"schema": 99}))
        seal(bundle)
    elif fault == "path":
        with (bundle / "SHA256SUMS").open("a") as file:
            file.write(f"{'0' * 64}  ../secret\n")
    else:
        weights.write_bytes(pickle.dumps({"weight": [1.0]}))
        seal(bundle)
    assert main(["bundle", "verify", str(bundle)]) == 1
    out, error = capsys.readouterr()
    assert not out
    assert len(error.strip().splitlines()) == 1


def test_sums_cannot_be_left_out(bundle: Path) -> None:
    (bundle / "SHA256SUMS").unlink()
    with pytest.raises(BundleError, match="SHA256SUMS"):
        read_bundle(bundle)


def test_a_bundle_of_schema_1_is_read(bundle: Path) -> None:
    write_old(bundle, 1)
    (bundle / "calibration.json").write_text(json.dumps({"temperature": 1.5}))
    (bundle / "SHA256SUMS").unlink()
    read = read_bundle(bundle)
    assert read.calibration.temperature == 1.5
    assert set(read.files) == {"config.json", "calibration.json", "model.safetensors"}


def test_a_network_from_before_resolution_keeps_every_place(bundle: Path) -> None:
    config = json.loads((bundle / "config.json").read_text())
    assert config["model"]["fusion"].pop("resolution") < 4096
    (bundle / "config.json").write_text(json.dumps(config))
    write_old(bundle, 2)
    seal(bundle)
    assert read_bundle(bundle).config.model.fusion.resolution == 4096


def test_a_network_from_before_averaged_heads_adds_them(bundle: Path) -> None:
    config = json.loads((bundle / "config.json").read_text())
    assert config["model"]["fusion"].pop("average") is True
    (bundle / "config.json").write_text(json.dumps(config))
    seal(bundle)
    assert read_bundle(bundle).config.model.fusion.average is False


def test_a_network_from_before_residual_convolutions_has_none(bundle: Path) -> None:
    config = json.loads((bundle / "config.json").read_text())
    assert config["model"]["fusion"].pop("residual") is True
    (bundle / "config.json").write_text(json.dumps(config))
    seal(bundle)
    assert read_bundle(bundle).config.model.fusion.residual is False


@pytest.mark.parametrize("schema", [1, 2, 3, 4])
def test_agfnet_of_the_first_design_is_refused_with_the_version_that_computes_it(
    bundle: Path, schema: int
) -> None:
    write_old(bundle, schema, "agfnet")
    seal(bundle)
    with pytest.raises(BundleError, match=r"first design.*train.*again.*agfnet 0\.1\.0") as error:
        read_bundle(bundle)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_an_interrupted_calibration_is_the_old_or_the_new_one(
    trained: Path, tmp_path: Path
) -> None:
    """And a bundle that was never finished is none: `train --resume` writes it again."""
    folder = tmp_path / "bundle"
    source = read_bundle(trained)
    new = Calibration(temperature=3.0)
    temperatures = set()
    for interruption in interruptions(folder):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source.folder, folder)
        with interruption:
            write_calibration(replace(source, folder=folder), new)
        temperatures.add(read_bundle(folder).calibration.temperature)
        assert write_calibration(read_bundle(folder), new).calibration == new
    assert temperatures == {source.calibration.temperature, 3.0}


@pytest.mark.slow
def test_an_interrupted_bundle_is_written_again(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    source = read_bundle(trained)
    weights = load_file(source.weights)
    for interruption in interruptions(folder):
        shutil.rmtree(folder, ignore_errors=True)
        with interruption:
            write_bundle(folder, weights, source.config, "card")
        finish_change(folder)
        if (folder / "SHA256SUMS").is_file():  # what `train` takes for a finished bundle
            assert read_bundle(folder).config == source.config
        assert write_bundle(folder, weights, source.config, "card").config == source.config
