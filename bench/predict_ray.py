"""Predict a long table with two Ray workers: the bytes of one process, and the time.

    python bench/predict_ray.py --rows 30000 --json bench/results/predict_ray.json

A small network with random weights, exported to ONNX; the images are tiny and repeat, and every
1000th is damaged. All tables of one process and of two workers are compared byte for byte. A
million rows are the default.

- rows that are equal, of all;
- rows per second of two workers, their start included, against those of one process. All of it
  shares the cores of the machine;
- microseconds of processor time per row of one process against those of the network alone: the
  rest reads and checks the table, decodes the images and writes the tables.
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
from common import finish, options, row
from PIL import Image

from agfnet.bundle import BundleConfig, read_bundle, write_bundle
from agfnet.config import (
    BackboneConfig,
    FusionConfig,
    ModelConfig,
    PredictConfig,
    default_modalities,
)
from agfnet.export.graph import export_graph
from agfnet.files import staged_files
from agfnet.inference.onnx_backend import ONNX
from agfnet.inference.predictor import Predictor
from agfnet.inference.table import predict_table
from agfnet.models.build import build

SIZE, IMAGES, DAMAGED = 16, 8, 1000
BATCHES = 500  # of the network alone
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
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, arguments.rows)
        config = PredictConfig(
            model=str(folder / "bundle"),
            cases=str(folder / "cases.csv"),
            out=str(folder / "one" / "p.csv"),
            on_error="skip",
        )
        predictor = Predictor.load(config.model, threads=1)
        network = network_cost(predictor)
        alone, busy = measure(config, predictor)
        out = str(folder / "two" / "p.csv")
        shared, _ = measure(replace(config, out=out, executor="ray", workers=2), predictor)
        title = f"{arguments.rows} rows, two Ray workers against one process"
        readable = check_tables(folder)
        result = [
            row(
                f"{title}, {readable} of them readable",
                "rows in files of equal bytes",
                arguments.rows,
                arguments.rows,
            ),
            row(title, "rows per second", arguments.rows / shared, arguments.rows / alone),
            row(
                f"{arguments.rows} rows, one process against the network alone",
                "microseconds of processor per row",
                1e6 * busy / arguments.rows,
                1e6 * network,
            ),
        ]
        finish(result, arguments)


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
    with staged_files(folder / "bundle") as staging:
        export_graph(read_bundle(folder / "bundle"), staging / ONNX)
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


def measure(config: PredictConfig, predictor: Predictor) -> tuple[float, float]:
    """Predict the table; return the seconds, and those of the processor in this process."""
    start, busy = time.perf_counter(), time.process_time()
    predict_table(config, predictor)
    return time.perf_counter() - start, time.process_time() - busy


def network_cost(predictor: Predictor) -> float:
    """Return the seconds of the processor that the network takes for a row."""
    size = predictor.batch_size
    images = [np.zeros((size, SIZE, SIZE, 3), dtype=np.uint8) for _ in default_modalities()]
    present = np.ones((size, len(images)), dtype=bool)
    predictor.backend.logits(images, present)
    busy = time.process_time()
    for _ in range(BATCHES):
        predictor.backend.logits(images, present)
    return (time.process_time() - busy) / BATCHES / size


def check_tables(folder: Path) -> int:
    """Compare the tables of one process and of two workers; return the number of predictions.

    Raises:
        RuntimeError: they differ.
    """
    names, ray_names = (sorted(p.name for p in (folder / n).iterdir()) for n in ("one", "two"))
    if names != ray_names:
        raise RuntimeError("one process and two workers have written different files")
    for name in names:
        if digest(folder / "one" / name) != digest(folder / "two" / name):
            raise RuntimeError(f"{name} differs between one process and two workers")
    with (folder / "two" / "p.csv").open(encoding="utf-8") as file:
        return sum(1 for _ in file) - 1


def digest(file: Path) -> str:
    """Return the SHA-256 of a file."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


if __name__ == "__main__":
    main()
