"""Training and the cache of prepared images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from agfnet.config import TrainConfig
from agfnet.data import dataset
from agfnet.data.cache import FOLDER
from agfnet.data.table import Case
from agfnet.errors import ConfigError
from agfnet.training.fit import fit, optional_modalities


def weights(folder: Path) -> bytes:
    return (folder / "bundle" / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_the_cache_changes_no_bit_and_decodes_each_file_once(
    trained: Path,
    settings: TrainConfig,
    cohort: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Over four networks on one table; of several frames, each run may draw others."""
    decoded: list[Path] = []
    load = dataset.load

    def counted(path: Path, **options: Any) -> np.ndarray:
        decoded.append(path)
        return load(path, **options)

    monkeypatch.setattr(dataset, "load", counted)
    data = replace(settings.data, cache=str(tmp_path / "cache"))
    config = replace(settings, data=data, runs=str(tmp_path))
    cold = fit(replace(config, name="cold"), progress=False)
    count = len(decoded)
    warm = fit(replace(config, name="warm"), progress=False)
    assert len(decoded) == count
    plain = replace(config, model=replace(config.model, method="concatenation"))
    for name, view in data.modalities.items():
        one = replace(plain, name=name, data=replace(data, modalities={name: view}))
        fit(one, progress=False)
    assert len(set(decoded)) == len(decoded)
    bare = fit(replace(config, name="bare", data=replace(data, cache_mb=0)), progress=False)
    assert len(decoded) > 2 * count
    assert weights(trained) == weights(cold) == weights(warm) == weights(bare)
    assert (cohort.parent / FOLDER / "images.sqlite").is_file()


def test_the_cache_stays_within_its_megabytes(
    settings: TrainConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = replace(settings.data, cache=str(tmp_path / "cache"), cache_mb=1)
    optim = replace(settings.optim, epochs=1)
    fit(replace(settings, data=data, optim=optim, runs=str(tmp_path)), progress=False)
    assert 2**19 < (tmp_path / "cache" / "images.sqlite").stat().st_size <= 2**20
    assert "raise data.cache_mb" in caplog.text


def test_a_frozen_backbone_leaves_training_as_it_came(
    settings: TrainConfig, tmp_path: Path
) -> None:
    model = settings.model
    with pytest.raises(ConfigError, match=r"model\.backbone\.frozen: .*set pretrained"):
        replace(settings, model=replace(model, backbone=replace(model.backbone, frozen=True)))
    file = tmp_path / "weights.safetensors"
    backbone = replace(model.backbone, weights=str(file), frozen=True)
    whole = timm.create_model(backbone.name, **backbone.options)
    save_file(whole.state_dict(), file)
    optim = replace(settings.optim, epochs=1)
    folder = fit(
        replace(
            settings,
            model=replace(model, backbone=backbone),
            optim=optim,
            name="frozen",
            runs=str(tmp_path),
        ),
        progress=False,
    )
    given, learned = whole.state_dict(), load_file(folder / "bundle" / "model.safetensors")
    found = [key for key in learned if key.startswith("backbones.")]
    assert found
    for key in found:
        torch.testing.assert_close(learned[key], given[key.split(".net.", 1)[1]], rtol=0, atol=0)


def test_modalities_that_a_network_learns_to_do_without(settings: TrainConfig) -> None:
    def case(number: int, **images: tuple[Path, ...]) -> Case:
        return Case(str(number), str(number), "a", images, {}, "train", {}, number)

    both = {"clinical": (Path("a"),), "ultrasound": (Path("b"),)}
    complete = [case(i, **both) for i in range(50)]
    dropped = replace(settings, optim=replace(settings.optim, modality_dropout=0.1))
    plain = replace(settings, optim=replace(settings.optim, modality_dropout=0.0))
    assert optional_modalities(complete, dropped) == ("clinical", "ultrasound")
    assert optional_modalities(complete, plain) == ()
    lacking = [*complete[:49], case(49, clinical=(Path("a"),), ultrasound=())]
    assert optional_modalities(lacking, plain) == ("ultrasound",)
