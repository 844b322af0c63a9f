"""What a long table costs beside the network: rows per second and memory, short against long.

    python bench/predict.py --json bench/results/predict.json

The network is replaced by mean colours, and images are tiny and repeat, so that what is left is the
machinery of `agfnet predict --cases`: checking the table, decoding, batches, three tables, a safe
state every few seconds. Each table is answered in a process of its own.

- rows per second of the longer table against the shorter one;
- peak megabytes likewise: memory must not grow with the table, but for some 50 bytes a row while it
  is checked;
- "beside the predictor": seconds of the shorter table against those of the predictor alone on the
  same images, which neither checks nor writes a table.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from agfnet.bundle import BundleConfig, write_bundle
from agfnet.config import ModelConfig, default_modalities
from agfnet.files import write_json
from agfnet.terminal import show_table

SIZE, IMAGES = 32, 50
WORK = """
import json, sys, time
import numpy as np
from agfnet.bundle import read_bundle
from agfnet.config import PredictConfig
from agfnet.data.table import read_cases
from agfnet.inference.predictor import Predictor
from agfnet.inference.table import answer_table

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
    answer_table(PredictConfig(model=folder, cases=table, out=folder + "/p.csv"), predictor)
seconds = time.perf_counter() - start
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([seconds, int(peak.split()[1]) / 1024]))
"""


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--rows", nargs=2, type=int, default=[2_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    short, long = chosen.rows
    with TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, chosen.rows)
        works = {"short": (short, "table"), "alone": (short, "alone"), "long": (long, "table")}
        found: dict[str, list[list[float]]] = {name: [] for name in works}
        for turn in range(chosen.rounds + 1):  # the first only warms up
            for name, (rows, how) in works.items():
                if turn or name != "long":
                    measured = measure(folder, rows, how)
                    found[name] += [measured] if turn else []
    (quick, small), (bare, _), (slow, large) = (
        [statistics.median(column) for column in zip(*found[name], strict=True)] for name in works
    )
    title = f"{long} rows against {short}"
    rows = [
        result(title, "rows per second", long / slow, short / quick),
        result(title, "peak megabytes", large, small),
        result(f"{short} rows beside the predictor", "seconds", quick, bare),
    ]
    show_table(
        ["what", "metric", "value", "baseline", "ratio"],
        [[f"{cell:.4g}" if isinstance(cell, float) else cell for cell in r.values()] for r in rows],
    )
    if chosen.json:
        write_json(chosen.json, rows)


def make(folder: Path, counts: list[int]) -> None:
    """A bundle without a network, images, and a table for each number of rows."""
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


def measure(folder: Path, rows: int, how: str) -> list[float]:
    """Seconds and peak megabytes."""
    command = [sys.executable, "-c", WORK, str(folder), str(folder / f"{rows}.csv"), how]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: list[float] = json.loads(done.stdout)
    return found


def result(name: str, metric: str, value: float, baseline: float) -> dict[str, object]:
    """One row."""
    ratio = value / baseline
    return {"name": name, "metric": metric, "value": value, "baseline": baseline, "ratio": ratio}


if __name__ == "__main__":
    main()
