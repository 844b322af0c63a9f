"""Kept feature maps of frozen backbones: the same training, without the backbones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import timm
import torch
from safetensors.torch import save_file

from agfnet.config import TrainConfig
from agfnet.config.model import Method
from agfnet.models.backbone import Backbone
from agfnet.training.fit import fit

Configure = Callable[..., TrainConfig]


@pytest.fixture(scope="session")
def frozen(settings: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """Settings with a frozen backbone and three variants of each image."""
    file = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    backbone = replace(settings.model.backbone, weights=str(file), frozen=True)
    torch.manual_seed(0)
    save_file(timm.create_model(backbone.name, **backbone.options).state_dict(), file)
    return replace(
        settings,
        data=replace(settings.data, feature_variants=3, cache=str(file.parent / "cache")),
        model=replace(settings.model, backbone=backbone),
        optim=replace(settings.optim, modality_dropout=0.3),
    )


@pytest.fixture
def configure(frozen: TrainConfig, tmp_path: Path) -> Configure:
    """Returns settings with changes of the data, the backbone, and others."""

    def change(name: str, *, method: str = "agfnet", **data: Any) -> TrainConfig:
        return replace(
            frozen,
            name=name,
            runs=str(tmp_path),
            data=replace(frozen.data, **data),
            model=replace(frozen.model, method=method),
        )

    return change


@pytest.fixture
def images_passed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collects the sizes of all batches that pass a backbone."""
    sizes: list[int] = []
    forward = Backbone.forward

    def counted(self: Backbone, image: torch.Tensor) -> Any:
        sizes.append(len(image))
        return forward(self, image)

    monkeypatch.setattr(Backbone, "forward", counted)
    return sizes


def state(folder: Path) -> bytes:
    history = (folder / "history.csv").read_bytes()
    return history + (folder / "bundle" / "model.safetensors").read_bytes()


@pytest.mark.parametrize("method", get_args(Method))
def test_training_on_kept_maps_changes_no_bit(configure: Configure, method: str) -> None:
    kept = fit(configure("kept", method=method), progress=False)
    computed = fit(configure("computed", method=method, feature_cache_mb=0), progress=False)
    assert state(kept) == state(computed)


def test_maps_are_computed_once(configure: Configure, tmp_path: Path, images_passed: list[int]):
    """In the first run; another seed, fold or method of a study finds them."""
    data = {"cache": str(tmp_path / "cache")}
    first = fit(configure("first", **data), progress=False)
    assert sum(images_passed) > 200
    images_passed.clear()
    again = fit(configure("again", **data), progress=False)
    fit(replace(configure("seed", **data), seed=5), progress=False)
    fit(configure("method", method="concatenation", **data), progress=False)
    assert set(images_passed) == {1}  # the sizes of the maps are read from one blank image
    assert state(first) == state(again)
