"""The recipe of docs/import.md: a backbone for each modality from public sets, then the fusion."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from agfnet.cli import main

from .hospital import flat_codes, photo, scan, table

TINY = [
    *("--data.size", "32", "--data.workers", "0", "--preset", "none", "--optim.epochs", "1"),
    *("--model.backbone.name", "test_convnext", "--model.fusion.scales", "2"),
]


def public_sets(folder: Path, lesions: int = 24) -> None:
    """Draw trees as the archives of HAM10000 and BUSI unpack to."""
    rows = ["lesion_id,image_id,dx"]
    for number in range(lesions):
        photo(folder / "ham" / "HAM10000_images_part_1" / f"ISIC_{number}.jpg", number)
        rows.append(f"HAM_{number},ISIC_{number},{('mel', 'nv')[number % 2]}")
        name = ("benign", "malignant")[number % 2]
        scan(folder / "busi" / name / f"{name} ({number}).png", number)
    table(folder / "ham" / "HAM10000_metadata.csv", rows)


def split(folder: Path) -> str:
    assert main(["split", str(folder / "cases.csv"), str(folder / "split.csv")]) == 0
    return str(folder / "split.csv")


@pytest.mark.slow
def test_pretraining_for_each_modality_then_fusion(tmp_path: Path) -> None:
    public_sets(tmp_path)
    spreadsheet, images = flat_codes(tmp_path, patients=24)
    runs, data = tmp_path / "runs", tmp_path / "data"
    common = [*TINY, "--runs", str(runs)]
    for name, dataset, modality in (
        ("photo", "ham10000", "{dermoscopic: {modality_type: photo}}"),
        ("us", "busi", "{ultrasound: {modality_type: ultrasound}}"),
    ):
        source = tmp_path / dataset.removesuffix("10000")
        assert main(["import", dataset, str(source), str(data / name)]) == 0
        arguments = ["--data.cases", split(data / name), "--data.modalities", modality]
        assert main(["train", *arguments, "--name", name, *common]) == 0
    own = ["import", "table", str(spreadsheet), str(data / "own"), "--root", str(images), "--yes"]
    assert main(own) == 0
    arguments = ["--data.cases", split(data / "own"), "--name", "fused"]
    arguments += ["--model.backbone.weights", f"{runs / 'photo'}|{runs / 'us'}"]
    assert main(["train", *arguments, "--model.backbone.frozen", "true", *common]) == 0
    weights = {n: load_file(runs / n / "bundle" / "model.safetensors") for n in ("photo", "us")}
    fused = load_file(runs / "fused" / "bundle" / "model.safetensors")
    for number, name in enumerate(("photo", "us")):
        pretrained = {k: v for k, v in weights[name].items() if k.startswith("backbones.0.")}
        assert pretrained
        for key, value in pretrained.items():  # frozen: as the run of the modality left them
            assert torch.equal(fused[key.replace(".0.", f".{number}.", 1)], value), (name, key)
    assert not torch.equal(*(w[next(iter(pretrained))] for w in weights.values()))
