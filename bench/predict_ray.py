"""Predict a long table with two Ray workers: the bytes of one process, and the time.

    python bench/predict_ray.py --rows 30000 --json bench/results/predict_ray.json

A small network with random weights; the images are tiny and repeat, and every 1000th is damaged.
The three tables of one process and of two workers are compared byte for byte. A million rows are
the default.

- rows that are equal, of all;
- rows per second of two workers, their start included, against those of one process. All of it
  shares the cores of the machine.
"""

from __future__ import annotations

import csv
import hashlib
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from common import Row, finish, options, row
from PIL import Image

from agfnet.bundle import BundleConfig, write_bundle
from agfnet.config import (
    BackboneConfig,
    FusionConfig,
    ModelConfig,
    PredictConfig,
    default_modalities,
)
from agfnet.inference.predictor import Predictor
from agfnet.inference.table import predict_table
from agfnet.models.build import build

SIZE, IMAGES, DAMAGED = 32, 50, 1000
MODEL = ModelConfig(
    backbone=BackboneConfig(
        name="resnet10t", options={"channels": [8, 16, 24, 32], "stem_width": 8}
    ),
    fusion=FusionConfig(dim=16, heads=2, grid=2),
)


def main() -> None:
    """Predict a table twice and compare."""
    parser = options(__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, arguments.rows)
        config = PredictConfig(
            model=str(folder / "bundle"),
            cases=str(folder / "cases.csv"),
            out=str(folder / "one" / "p.csv"),
            on_error="skip",
        )
        alone = measure(config)
        out = str(folder / "two" / "p.csv")
        shared = measure(replace(config, out=out, executor="ray", workers=2))
        finish(rows(arguments.rows, folder, alone, shared), arguments)


def write_inputs(folder: Path, count: int) -> None:
    """Write a bundle with random weights, images, and a table."""
    torch.manual_seed(0)
    network = build(MODEL, modalities=2, classes=6)
    config = BundleConfig(
        classes=tuple("abcdef"),
        labels=None,
        modalities=default_modalities(),
        size=SIZE,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        model=MODEL,
        data_hash="",
    )
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    write_bundle(folder / "bundle", weights, config, "")
    rng = np.random.default_rng(0)
    for number in range(IMAGES):
        pixels = rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.jpg")
    (folder / "damaged.jpg").write_bytes(b"no image")
    with (folder / "cases.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["lesion_id", "patient_id", "label", *default_modalities()])
        for i in range(count):
            photo = "damaged.jpg" if i % DAMAGED == DAMAGED - 1 else f"{i % IMAGES}.jpg"
            writer.writerow([f"L{i:07d}", f"P{i // 2:07d}", "", photo, f"{7 * i % IMAGES}.jpg"])


def measure(config: PredictConfig) -> float:
    """Predict the table; return the seconds."""
    start = time.perf_counter()
    predict_table(config, Predictor.load(config.model))
    return time.perf_counter() - start


def rows(count: int, folder: Path, alone: float, shared: float) -> list[Row]:
    """Return the rows of the result.

    Raises:
        RuntimeError: the tables of one process and of two workers differ.
    """
    names, ray_names = (sorted(p.name for p in (folder / n).iterdir()) for n in ("one", "two"))
    if names != ray_names:
        raise RuntimeError("one process and two workers have written different files")
    for name in names:
        if digest(folder / "one" / name) != digest(folder / "two" / name):
            raise RuntimeError(f"{name} differs between one process and two workers")
    with (folder / "two" / "p.csv").open(encoding="utf-8") as file:
        answered = sum(1 for _ in file) - 1
    title = f"{count} rows, two Ray workers against one process"
    return [
        row(f"{title}, {answered} of them readable", "rows in files of equal bytes", count, count),
        row(title, "rows per second", count / shared, count / alone),
    ]


def digest(file: Path) -> str:
    """Return the SHA-256 of a file."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


if __name__ == "__main__":
    main()
