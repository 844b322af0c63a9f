"""Backbones that start from those of earlier runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from agfnet.bundle import read_bundle
from agfnet.config import ModalityConfig
from agfnet.errors import BundleError, ConfigError
from agfnet.models.build import build
from agfnet.training.pretrained import load_backbones, pretrained_runs


def test_backbones_of_a_run_by_name_and_type(trained: Path, tmp_path: Path) -> None:
    bundle = read_bundle(trained)
    model, names = bundle.config.model, list(bundle.config.modalities)
    config = replace(model.backbone, weights=str(trained))
    weights = load_file(bundle.folder / "model.safetensors")
    types = {name: each.modality_type for name, each in bundle.config.modalities.items()}
    swapped = {
        "sono": ModalityConfig(modality_type="ultrasound"),
        names[0]: ModalityConfig(modality_type=types[names[0]]),
    }
    network = build(model, modalities=2, classes=2)
    load_backbones(network.backbones, config, swapped)
    state = network.state_dict()
    key = next(k for k in weights if k.startswith("backbones.0.") and k.endswith("weight"))
    rest = key.removeprefix("backbones.0.")
    ultrasound = next(i for i, name in enumerate(names) if types[name] == "ultrasound")
    assert not model.backbone.shared
    assert torch.equal(state[f"backbones.1.{rest}"], weights[key])
    assert torch.equal(state[f"backbones.0.{rest}"], weights[f"backbones.{ultrasound}.{rest}"])
    with pytest.raises(ConfigError, match="has the backbone"):
        load_backbones(network.backbones, replace(config, name="resnet18"), swapped)
    with pytest.raises(BundleError):
        load_backbones(network.backbones, replace(config, weights=str(tmp_path)), swapped)


def test_files_and_timm_are_no_runs(trained: Path) -> None:
    backbone = read_bundle(trained).config.model.backbone
    for weights, runs in (
        (None, []),
        ("timm", []),
        ("a.safetensors", []),
        ("runs/a|runs/b", ["runs/a", "runs/b"]),
    ):
        assert pretrained_runs(replace(backbone, weights=weights)) == runs
