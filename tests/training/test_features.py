"""Kept feature maps of frozen backbones: the same training, without the backbones."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
import timm
import torch
import yaml
from safetensors.torch import save_file

from agfnet.config import EvaluateConfig, FitConfig, PhantomConfig, TrainConfig
from agfnet.config.model import Method
from agfnet.data.features import FILE
from agfnet.data.store import Store
from agfnet.errors import ConfigError
from agfnet.evaluation.run import evaluate_run
from agfnet.models.backbone import Backbone
from agfnet.phantom.cohort import make_cohort
from agfnet.training import features_on_ray
from agfnet.training.features import MapSource
from agfnet.training.fit import fit
from agfnet.training.timing import measure_speed

Configure = Callable[..., TrainConfig]


@pytest.fixture(scope="session")
def frozen(settings: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """Settings with a frozen backbone and three variants of each image; some are missing."""
    folder = tmp_path_factory.mktemp("frozen")
    cohort = PhantomConfig(
        out=str(folder / "cohort"), lesions=48, size=32, seed=3, missing_ultrasound=0.2, frames=2
    )
    backbone = replace(settings.model.backbone, weights=str(folder / "w.safetensors"), frozen=True)
    torch.manual_seed(0)
    network = timm.create_model(backbone.name, **backbone.options)
    save_file(network.state_dict(), str(backbone.weights))
    return replace(
        settings,
        data=replace(settings.data, cases=str(make_cohort(cohort)), size=32, feature_variants=3),
        model=replace(settings.model, backbone=backbone),
        optim=replace(settings.optim, modality_dropout=0.3, batch_size=12),
    )


@pytest.fixture
def configure(frozen: TrainConfig, tmp_path: Path) -> Configure:
    """Returns settings of a run with another method, or other settings of the data."""

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
def batch_sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collects the size of every batch of images that passes a backbone."""
    sizes: list[int] = []
    forward = Backbone.forward

    def counted(self: Backbone, image: torch.Tensor) -> Any:
        sizes.append(len(image))
        return forward(self, image)

    monkeypatch.setattr(Backbone, "forward", counted)
    return sizes


def result(folder: Path) -> bytes:
    """History and weights of a run."""
    history = (folder / "history.csv").read_bytes()
    return history + (folder / "bundle" / "model.safetensors").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("method", get_args(Method))
def test_kept_maps_change_no_bit(configure: Configure, method: str) -> None:
    kept = fit(configure("kept", method=method), progress=False)
    computed = fit(configure("computed", method=method, feature_cache_mb=0), progress=False)
    assert result(kept) == result(computed)


@pytest.mark.slow
def test_images_without_augmentation(configure: Configure) -> None:
    kept = fit(configure("kept", augment=False), progress=False)
    computed = fit(configure("computed", augment=False, feature_cache_mb=0), progress=False)
    varied = fit(configure("varied"), progress=False)
    assert result(kept) == result(computed) != result(varied)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a single core
def test_runs_share_maps_and_workers_change_nothing(
    configure: Configure, tmp_path: Path, batch_sizes: list[int]
) -> None:
    data = {"cache": str(tmp_path / "cache")}
    first = fit(configure("first", **data), progress=False)
    assert sum(batch_sizes) > 200
    batch_sizes.clear()
    again = fit(configure("again", workers=1, **data), progress=False)
    fit(replace(configure("seed", **data), seed=5), progress=False)
    fit(configure("method", method="concatenation", **data), progress=False)
    assert set(batch_sizes) == {1}  # a blank image tells the sizes of the maps
    assert result(first) == result(again)


def test_an_evaluation_reads_maps(configure: Configure, batch_sizes: list[int]) -> None:
    """Of all frames; its answers are those of the bundle."""
    folder = fit(configure("run"), progress=False)
    config = EvaluateConfig(run=str(folder), max_focus_lesions=0, resamples=10)
    batch_sizes.clear()
    kept = evaluate_run(config).predictions
    assert set(batch_sizes) == {1}
    batch_sizes.clear()
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    settings["data"]["feature_cache_mb"] = 0
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    computed = evaluate_run(config).predictions
    assert max(batch_sizes) > 1
    np.testing.assert_allclose(kept.probabilities, computed.probabilities, atol=1e-6)


def content(cache: Path) -> dict[bytes, tuple[bytes, bytes]]:
    """The kept maps by key, with their owners."""
    with closing(sqlite3.connect(cache / FILE)) as connection:
        rows = connection.execute("SELECT key, owner, pixels FROM images")
        return {key: (owner, pixels) for key, owner, pixels in rows}


@pytest.mark.slow
def test_two_ray_workers_compute_the_maps_of_one_process(
    configure: Configure, tmp_path: Path, batch_sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setattr(features_on_ray, "MAX_TASK", 7)
    torch.set_num_threads(1)
    caches = [tmp_path / name for name in ("one", "two")]
    fit(configure("one", cache=str(caches[0])), progress=False)
    batch_sizes.clear()
    config = configure("two", cache=str(caches[1]))
    ray = replace(config.fit, feature_executor="ray", feature_workers=2)
    fit(replace(config, fit=ray), progress=False)
    assert set(batch_sizes) == {1}  # this process computes no maps
    one, two = map(content, caches)
    assert len(one) > 200
    assert one == two


def test_groups_of_images_for_a_worker_have_a_limited_size() -> None:
    sources = [MapSource(0, b"", [0, 1], 0, Path(str(number))) for number in range(130)]
    cache: Any = SimpleNamespace(width=1)
    assert [len(task) for task in features_on_ray.tasks_of(sources, cache)] == [64, 64, 2]
    cache.width = features_on_ray.TASK_BYTES // 16  # two images
    tasks = list(features_on_ray.tasks_of(sources, cache))
    assert [len(task) for task in tasks] == [2] * 65
    assert [source for task in tasks for source in task] == sources


def test_settings_of_ray_need_ray() -> None:
    with pytest.raises(ConfigError, match=r"needs --fit\.feature-executor ray"):
        FitConfig(feature_workers=2)


def test_maps_that_do_not_fit_are_computed_in_every_step(
    configure: Configure, tmp_path: Path, caplog: pytest.LogCaptureFixture, batch_sizes: list[int]
) -> None:
    config = configure("run", cache=str(tmp_path / "cache"), feature_cache_mb=1)
    fit(config, progress=False)
    assert "feature maps, so none is kept" in caplog.text
    assert "raise data.feature_cache_mb" in caplog.text
    assert max(batch_sizes) > 1
    assert (tmp_path / "cache" / FILE).stat().st_size < 2**16


def test_maps_that_vanish_are_computed_again(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run may delete them at any time, to make room for its own."""
    kept = fit(configure("kept"), progress=False)
    read, count = Store.read, 0

    def forgetful(self: Store, key: bytes, stamp: str = "") -> bytes | None:
        nonlocal count
        count += self.file.name == FILE
        return None if self.file.name == FILE and count % 7 == 0 else read(self, key, stamp)

    monkeypatch.setattr(Store, "read", forgetful)
    assert result(fit(configure("again"), progress=False)) == result(kept)
    assert count > 50


def test_a_backbone_that_learns_has_no_maps_to_keep(settings: TrainConfig) -> None:
    with pytest.raises(ConfigError, match=r"data\.feature_variants: .*set model.backbone.frozen"):
        replace(settings, data=replace(settings.data, feature_variants=2))


@pytest.mark.slow
def test_processes_fill_the_cache_together(configure: Configure, tmp_path: Path) -> None:
    configs = [configure(name, cache=str(tmp_path / "cache")) for name in ("first", "second")]
    runs = [
        get_context("spawn").Process(target=fit, args=(config,), kwargs={"progress": False})
        for config in configs
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    alone = fit(configure("alone", cache=str(tmp_path / "other")), progress=False)
    for config in configs:
        assert result(tmp_path / config.name) == result(alone)


def test_the_time_of_frozen_backbones_is_measured(frozen: TrainConfig) -> None:
    """As `--preset fast` does on every machine without a GPU."""
    speed = measure_speed(frozen, torch.device("cpu"))
    assert speed.forward > 0
    assert speed.seconds(frozen) > 0
