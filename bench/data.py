"""Speed of reading data: large tables, decoding, the image cache, against the training step.

    python bench/data.py --json bench/results/data.json

On two cores; medians over rounds.

- table: a process that reads and checks a table, without and with checking every file, against one
  in which Python's csv module reads the same rows. Seconds and peak megabytes.
- decoder, the lower bound: Pillow decodes a photograph (JPEG, at reduced size) and a scan (PNG,
  1024 px) to RGB. Phantom images; 12 MP is an enlarged phantom photograph with noise.
- from files: batches with decoding, resizing and normalising, then also with augmentation.
  Baseline: the decoder.
- cached: batches with augmentation from a warm cache. Baseline: cases per second of a training step
  of a ResNet-18 pair at the same size; a ratio of 3 is three times faster than needed.
- keeping: reading stored images in random order, against a memory-mapped array of the same images.
  LMDB is measured if it is installed.
"""

from __future__ import annotations

import csv
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from common import Row, finish, in_rounds, options, row
from PIL import Image as Pillow

from agfnet.config import (
    BackboneConfig,
    DataConfig,
    ModelConfig,
    PhantomConfig,
    TrainConfig,
    default_modalities,
)
from agfnet.data.cache import ImageCache, identity
from agfnet.data.dataset import CasesDataset
from agfnet.data.loader import loader
from agfnet.data.table import Case, read_cases
from agfnet.phantom import make_cohort
from agfnet.training.optim import build_optimizer
from agfnet.training.tasks import build_task
from agfnet.types import Batch

SIZE, BATCH = 224, 32
MODALITIES = default_modalities()
# not getrusage: it starts with the peak of this process
READ = """
import sys, time
start = time.perf_counter()
{work}
seconds = time.perf_counter() - start
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(seconds, int(peak.split()[1]) / 1024)
"""
CSV = "import csv; rows = list(csv.reader(open(sys.argv[1], newline='')))"
TABLE = """
from agfnet.data.table import read_cases
read_cases(sys.argv[1], modalities=('clinical', 'ultrasound'), check_files={check})
"""
Measures = dict[str, Callable[[], float]]


def write_table(folder: Path, rows: int) -> Path:
    """Write a table whose rows name three files each, out of a thousand."""
    names = [f"{number:03d}.png" for number in range(1000)]
    for name in names:
        (folder / name).write_bytes(b"x")
    path = folder / "cases.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["lesion_id", "patient_id", "label", "split", *MODALITIES, "age"])
        for i in range(rows):
            photo, *frames = (names[(3 * i + k) % 1000] for k in range(3))
            split = ("train", "val", "test")[i // 2 % 3]
            patient, label = f"P{i // 2:06d}", "abcdefg"[i % 7]
            writer.writerow([f"L{i:06d}", patient, label, split, photo, "|".join(frames), i % 90])
    return path


def measure_table(path: Path, rounds: int) -> list[Row]:
    """Measure seconds and peak megabytes of reading a table."""
    works = {"csv": CSV} | {check: TABLE.format(check=check) for check in (False, True)}
    measured: dict[object, list[list[float]]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            command = [sys.executable, "-c", READ.format(work=work), str(path)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            measured[name].append([float(word) for word in done.stdout.split()])
    medians = {name: np.median(values, axis=0).tolist() for name, values in measured.items()}
    names = {False: "table", True: "table and its files"}
    return [
        row(names[check], metric, medians[check][i], medians["csv"][i])
        for check in (False, True)
        for i, metric in enumerate(("seconds", "peak_mb"))
    ]


def make_images(folder: Path) -> dict[str, list[tuple[Path, Path]]]:
    """Make pairs of photographs and scans, by the size of the photographs."""
    table = make_cohort(PhantomConfig(out=str(folder / "phantom"), lesions=8, size=1024))
    rng = np.random.default_rng(0)
    pairs: dict[str, list[tuple[Path, Path]]] = {"1024 px": [], "12 MP": []}
    for number, case in enumerate(read_cases(table, modalities=tuple(MODALITIES))):
        scan = case.images["ultrasound"][0]
        with Pillow.open(case.images["clinical"][0]) as image:
            photo = image.convert("RGB")
        large = np.asarray(photo.resize((4000, 3000)), dtype=np.float32)
        large += rng.normal(0, 3, large.shape[:2])[..., None]
        noisy = Pillow.fromarray(large.clip(0, 255).astype(np.uint8))
        for name, each in (("1024 px", photo), ("12 MP", noisy)):
            path = folder / f"{name} {number}.jpg"
            each.save(path, quality=90)
            pairs[name].append((path, scan))
    return pairs


def make_cases(folder: Path, pairs: list[tuple[Path, Path]], count: int) -> list[Case]:
    """Make cases with separate files, so that each has a separate entry in the cache."""
    folder.mkdir()
    cases = []
    for number in range(count):
        images = {}
        for name, file in zip(MODALITIES, pairs[number % len(pairs)], strict=True):
            path = folder / f"{number}_{name}{file.suffix}"
            os.link(file, path)
            images[name] = (path,)
        cases.append(Case(f"L{number}", f"L{number}", "ab"[number % 2], images, {}, "", {}, 2))
    return cases


def decoding(cases: list[Case]) -> Callable[[], float]:
    """Return a measure of the cases per second of the decoder alone."""

    def decode() -> float:
        start = time.perf_counter()
        for case in cases:
            for (path,) in case.images.values():
                with Pillow.open(path) as image:
                    image.draft(None, (SIZE, SIZE))
                    image.convert("RGB")
        return len(cases) / (time.perf_counter() - start)

    return decode


def feeding(
    cases: list[Case], *, augment: bool, workers: int, cache: ImageCache | None = None
) -> Callable[[], float]:
    """Return a measure of the cases per second of an epoch; workers persist, as in training."""
    dataset = CasesDataset(
        cases=cases,
        classes=("a", "b"),
        modalities=MODALITIES,
        size=SIZE,
        mean=(0.5, 0.5, 0.5),
        std=(0.2, 0.2, 0.2),
        augment=augment,
        cache=cache,
    )
    batches = loader(dataset, batch_size=BATCH, shuffle=True, workers=workers, seed=0)

    def feed() -> float:
        start = time.perf_counter()
        for _ in batches:
            pass
        return len(cases) / (time.perf_counter() - start)

    return feed


def consuming(method: str) -> Callable[[], float]:
    """Return a measure of the cases per second of a training step with AdamW."""
    config = TrainConfig(
        data=DataConfig(cases=""),
        model=ModelConfig(method=method, backbone=BackboneConfig(name="resnet18")),
    )
    labels = torch.arange(BATCH) % 2
    task = build_task(config, labels.tolist(), 2)
    optimizer = build_optimizer(task, config.optim)
    batch = Batch(
        images=tuple(torch.randn(BATCH, 3, SIZE, SIZE) for _ in MODALITIES),
        present=torch.ones(BATCH, len(MODALITIES), dtype=torch.bool),
        labels=labels,
        index=torch.arange(BATCH),
    )

    def step() -> float:
        start = time.perf_counter()
        task(batch, 0.5)["loss"].backward()
        torch.nn.utils.clip_grad_norm_(task.parameters(), config.optim.gradient_clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        return BATCH / (time.perf_counter() - start)

    return step


def keeping(folder: Path, count: int) -> Measures:
    """Return measures of the images per second read in random order, by way of storage."""
    rng = np.random.default_rng(0)
    order = rng.permutation(count)
    image = rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    what = identity(size=SIZE, modality=MODALITIES["clinical"])
    folder.mkdir()
    cache = ImageCache(folder=folder / "cache", max_bytes=2**33)
    mapped = np.memmap(folder / "array", dtype=np.uint8, mode="w+", shape=(count, *image.shape))
    paths = [folder / f"{number}.raw" for number in range(count)]
    for number, path in enumerate(paths):
        image.tofile(path)
        cache.image(path, what, lambda: image)
        mapped[number] = image
    ways: dict[str, Callable[[int], object]] = {
        "memory-mapped array": lambda number: mapped[number].copy(),
        "cache": lambda number: cache.image(paths[number], what, lambda: image),
        "a file per image": lambda number: paths[number].read_bytes(),
    }
    if importlib.util.find_spec("lmdb"):
        import lmdb

        environment = lmdb.open(str(folder / "lmdb"), map_size=2**33, sync=False)
        for number in range(count):
            with environment.begin(write=True) as transaction:
                transaction.put(b"%d" % number, image.tobytes())

        def read(number: int) -> object:
            with environment.begin() as transaction:
                return transaction.get(b"%d" % number)

        ways["LMDB"] = read

    def reading(way: Callable[[int], object]) -> Callable[[], float]:
        def work() -> float:
            start = time.perf_counter()
            for number in order:
                way(int(number))
            return count / (time.perf_counter() - start)

        return work

    return {name: reading(way) for name, way in ways.items()}


def medians(measures: Measures, rounds: int) -> dict[str, float]:
    """Return the median of each measure over the rounds."""
    return {name: statistics.median(v) for name, v in in_rounds(measures, rounds).items()}


def measure_feeding(folder: Path, rounds: int, files: int, kept: int) -> list[Row]:
    """Measure the decoder, files, the cache and the training step."""
    measures: Measures = {}
    compared: list[tuple[str, str]] = []
    for name, pairs in make_images(folder).items():
        cases = make_cases(folder / f"cases {name}", pairs, files)
        floor = f"decoder, {name}"
        measures[floor] = decoding(cases)
        for augment in (False, True):
            label = f"from files, {name}" + ", augmented" * augment
            measures[label] = feeding(cases, augment=augment, workers=0)
            compared.append((label, floor))
    cases = make_cases(folder / "cases kept", pairs, kept)
    steps = {"concatenation": "concatenation's step", "agfnet": "AGFnet's step"}
    for workers in (0, 1, 2):
        cache = ImageCache(folder=folder / "cache", max_bytes=2**33)
        label = f"cached, workers: {workers}"
        measures[label] = feeding(cases, augment=True, workers=workers, cache=cache)
        compared += [(label, step) for step in steps.values()]
    measures |= {step: consuming(method) for method, step in steps.items()}
    values = medians(measures, rounds)
    return [
        row(f"{label} / {baseline}", "cases_per_second", values[label], values[baseline])
        for label, baseline in compared
    ]


def main() -> None:
    """Measure tables, images and ways of storage."""
    parser = options(__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=32, help="cases that are decoded")
    parser.add_argument("--kept", type=int, default=256, help="cases in the cache")
    arguments = parser.parse_args()
    rounds = arguments.rounds
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    torch.set_num_threads(2)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        rows = measure_table(write_table(folder, arguments.rows), rounds)
        rows += measure_feeding(folder, rounds, arguments.files, arguments.kept)
        values = medians(keeping(folder / "keeping", 1000), rounds)
        base = values["memory-mapped array"]
        rows += [row(f"keeping: {n}", "images_per_second", v, base) for n, v in values.items()]
    finish(rows, arguments)


if __name__ == "__main__":
    main()
