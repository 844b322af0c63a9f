"""Prediction of a table by workers of a Ray cluster."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from agfnet.config import PredictConfig
from agfnet.errors import ConfigError, ImageError
from agfnet.inference import on_ray
from agfnet.inference.predictor import Predictor
from agfnet.inference.table import BLOCK, predict_table

ROWS = 3 * BLOCK + 5


def predict(config: PredictConfig) -> dict[str, bytes]:
    predict_table(config, Predictor.load(config.model))
    return {path.name: path.read_bytes() for path in Path(config.out).parent.iterdir()}


@pytest.mark.slow
def test_two_ray_workers_write_the_bytes_of_one_process(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setattr(on_ray, "TASK", 1)
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    for number in range(4):
        pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    table = tmp_path / "cases.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["lesion_id", "patient_id", "label", "clinical", "ultrasound"])
        for i in range(ROWS):
            photo = "broken.png" if i == BLOCK + 1 else f"{i % 4}.png"
            writer.writerow([f"L{i}", f"P{i}", "", photo, f"{i % 3}.png"])
    one, two = tmp_path / "one" / "p.csv", tmp_path / "two" / "p.csv"
    config = PredictConfig(model=str(trained), cases=str(table), out=str(one), on_error="skip")
    ray = replace(config, out=str(two), executor="ray", workers=2)
    with pytest.raises(ImageError, match=r"cases\.csv:67: lesion 'L65'"):
        predict(replace(ray, on_error="stop"))
    assert predict(config) == predict(replace(ray, out=str(tmp_path / "three" / "p.csv")))


def test_a_worker_has_no_more_threads_than_cores(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = PredictConfig(model=str(trained), cases="c.csv", executor="ray", cpus=3)
    assert on_ray.RayWorker(str(tmp_path), config).predictor.threads == 3
    config = PredictConfig(model=str(trained), cases="c.csv", executor="ray")
    assert on_ray.RayWorker(str(tmp_path), config).predictor.threads == 1


def test_settings_of_ray_need_ray() -> None:
    with pytest.raises(ConfigError, match="workers: needs --executor ray"):
        PredictConfig(model="m", cases="c", workers=2)
    with pytest.raises(ConfigError, match="executor: needs --cases"):
        PredictConfig(model="m", images={"clinical": "a.png"}, executor="ray")
