"""Bundles in the layout of MONAI."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from agfnet.cli import main


def test_layout(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "skin"
    assert main(["bundle", "monai", str(trained), "--out", str(out)]) == 0
    assert "Research use only" in capsys.readouterr().out
    weights = torch.load(out / "models" / "model.pt", weights_only=True)
    original = load_file(trained / "bundle" / "model.safetensors")
    assert weights.keys() == original.keys()
    assert all(torch.equal(weights[name], original[name]) for name in original)
    assert (out / "docs" / "README.md").read_text("utf-8").startswith("---")
    metadata = json.loads((out / "configs" / "metadata.json").read_text("utf-8"))
    required = {"version", "monai_version", "pytorch_version", "numpy_version", "task", "authors"}
    required |= {"optional_packages_version", "description", "copyright", "network_data_format"}
    assert required <= metadata.keys()
    tensors = metadata["network_data_format"]
    assert tensors["inputs"].keys() == {"clinical", "ultrasound", "present", "case"}
    assert tensors["inputs"]["ultrasound"]["modality"] == "US"
    assert tensors["inputs"]["clinical"]["spatial_shape"] == [64, 64]
    config = json.loads((trained / "bundle" / "config.json").read_text("utf-8"))
    assert list(tensors["outputs"]["probabilities"]["channel_def"].values()) == config["classes"]
    assert main(["bundle", "monai", str(trained), "--out", str(out)]) != 0
    assert "exists; choose another folder" in capsys.readouterr().err


def test_out_is_for_monai(trained: Path) -> None:
    assert main(["bundle", "monai", str(trained)]) == 2
    assert main(["bundle", "show", str(trained), "--out", "x"]) == 2
