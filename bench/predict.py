"""Cost of predicting a long table, apart from the network: rows per second and memory.

    python bench/predict.py --json bench/results/predict.json

The network is replaced by mean colours, and the images are tiny and repeat. What remains is the
rest of `agfnet predict --cases`: checking the table, decoding, batches, writing three tables, a
saved state every few seconds. Each table is predicted in a separate process.

- rows per second of the longer table, against the shorter one;
- peak megabytes likewise: memory must not grow with the table, except for some 50 bytes per row
  while it is checked;
- seconds of the shorter table, against those of the predictor alone on the same images, which
  neither checks nor writes a table.
"""

from __future__ import annotations

import csv
import json
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from common import finish, options, row
from PIL import Image

from agfnet.bundle import BundleConfig, write_bundle
from agfnet.config import ModelConfig, default_modalities

SIZE, IMAGES = 32, 50
WORK = """
import json, sys, time
import numpy as np
from agfnet.bundle import read_bundle
from agfnet.config import PredictConfig
from agfnet.data.table import read_cases
from agfnet.inference.predictor import Predictor
from agfnet.inference.table import predict_table

class Means:
    def logits(self, images, present):
        return np.hstack([image.mean(axis=(1, 2)) / 64 for image in images])

folder, table, alone = sys.argv[1:]
predictor = Predictor(bundle=read_bundle(folder), backend=Means())
cases = read_cases(table, modalities=("clinical", "ultrasound")) if alone == "alone" else ()
start = time.perf_counter()
if cases:
    for _ in predictor.stream(case.images for case in cases):
        pass
else:
    predict_table(PredictConfig(model=folder, cases=table, out=folder + "/p.csv"), predictor)
seconds = time.perf_counter() - start
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([seconds, int(peak.split()[1]) / 1024]))
"""


def main() -> None:
    """Measure a short and a long table."""
    parser = options(__doc__)
    parser.add_argument("--rows", nargs=2, type=int, default=[2_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    short, long = arguments.rows
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, arguments.rows)
        works = {"short": (short, "table"), "alone": (short, "alone"), "long": (long, "table")}
        measured: dict[str, list[list[float]]] = {name: [] for name in works}
        for number in range(arguments.rounds + 1):  # the first round is a warm-up
            for name, (count, mode) in works.items():
                if number or name != "long":
                    values = measure(folder, count, mode)
                    measured[name] += [values] if number else []
    (short_s, short_mb), (alone_s, _), (long_s, long_mb) = (
        [statistics.median(column) for column in zip(*measured[name], strict=True)]
        for name in works
    )
    title = f"{long} rows against {short}"
    finish(
        [
            row(title, "rows per second", long / long_s, short / short_s),
            row(title, "peak megabytes", long_mb, short_mb),
            row(f"{short} rows against the predictor alone", "seconds", short_s, alone_s),
        ],
        arguments,
    )


def write_inputs(folder: Path, counts: list[int]) -> None:
    """Write a bundle without a network, images, and a table for each number of rows."""
    rng = np.random.default_rng(0)
    config = BundleConfig(
        classes=tuple("abcdef"),
        labels=None,
        modalities=default_modalities(),
        size=SIZE,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        model=ModelConfig(),
        data_hash="",
    )
    write_bundle(folder, {"none": np.zeros(1, dtype=np.float32)}, config, "")
    for number in range(IMAGES):
        pixels = rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.jpg")
    for count in counts:
        with (folder / f"{count}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["lesion_id", "patient_id", "label", *default_modalities()])
            for i in range(count):
                images = (f"{i % IMAGES}.jpg", f"{(7 * i + 1) % IMAGES}.jpg")
                writer.writerow([f"L{i:07d}", f"P{i // 2:07d}", "abcdef"[i % 6], *images])


def measure(folder: Path, rows: int, mode: str) -> list[float]:
    """Return seconds and peak megabytes."""
    command = [sys.executable, "-c", WORK, str(folder), str(folder / f"{rows}.csv"), mode]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    values: list[float] = json.loads(done.stdout)
    return values


if __name__ == "__main__":
    main()
