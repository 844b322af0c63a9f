"""Kept feature maps of frozen backbones: time of an epoch, of filling the cache, and room on disk.

    python bench/features.py --json bench/results/features.json

MobileNetV2 with random weights (speed does not depend on them) at 96 px, batches of 64, one thread,
on a phantom cohort; prepared images are cached in both cases. Medians over rounds, in seconds of
the process itself, so that other work on the machine counts little.

- epoch: training steps of one epoch from kept maps. Baseline: the same steps with the backbones.
- filling: computing and keeping a thousand maps. Baseline: the backbones alone.
- room: kilobytes per augmented variant. Baseline: the prepared image.
- rounding: largest difference of a probability between maps in float16 and in float32.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import timm
import torch
from common import Row, finish, in_rounds, options, row, rows_against
from safetensors.torch import save_file

from agfnet.config import (
    BackboneConfig,
    DataConfig,
    ModelConfig,
    OptimConfig,
    PhantomConfig,
    TrainConfig,
)
from agfnet.data.features import FILE
from agfnet.models.build import image_statistics
from agfnet.models.maps import packed_maps
from agfnet.phantom import make_cohort
from agfnet.training.cases import build_datasets, build_loaders, read_table, select_cases
from agfnet.training.features import prepare_features
from agfnet.training.optim import build_optimizer
from agfnet.training.tasks import Task, build_task

BACKBONE = "mobilenetv2_100"
SIZE, BATCH, VARIANTS, LESIONS = 96, 64, 4, 400


def settings(folder: Path, method: str) -> TrainConfig:
    """Return the settings of a training."""
    return TrainConfig(
        data=DataConfig(
            cases=str(folder / "cohort" / "cases.csv"),
            size=SIZE,
            feature_variants=VARIANTS,
            cache=str(folder / "cache"),
        ),
        model=ModelConfig(
            method=method,  # type: ignore[arg-type]
            backbone=BackboneConfig(
                name=BACKBONE, weights=str(folder / "weights.safetensors"), frozen=True
            ),
        ),
        optim=OptimConfig(batch_size=BATCH),
    )


def prepare(config: TrainConfig) -> tuple[Task, Callable[[], float], int]:
    """Return a task, a measure of the seconds of one of its epochs, and the number of maps."""
    table = read_table(config.data)
    cases = select_cases(table, config)
    labels = [cases.classes.index(case.label) for case in cases.train]
    task = build_task(config, labels, len(cases.classes))
    datasets = build_datasets(cases, config, table.path, *image_statistics(config.model))
    prepare_features(config, datasets, task.model.backbones, table.path)
    train, _ = build_loaders(datasets, config)
    optimizer = build_optimizer(task, config.optim)

    def epoch() -> float:
        task.train()
        start = time.process_time()
        for batch in train:
            task(batch, 0.5)["loss"].backward()
            optimizer.step()
            optimizer.zero_grad()
        return time.process_time() - start

    count = sum(len(list(dataset.files())) * len(dataset.variants) for dataset in datasets)
    return task, epoch, count


def backbones_alone(task: Task) -> Callable[[], float]:
    """Return a measure of the seconds in which a backbone computes a thousand maps."""
    backbones = task.model.backbones
    backbones.accept_maps(SIZE)
    images = torch.randn(BATCH, 3, SIZE, SIZE)

    def compute() -> float:
        start = time.process_time()
        packed_maps(backbones.part(0), images, backbones.layouts[0])
        return (time.process_time() - start) * 1000 / BATCH

    return compute


def rounding(task: Task) -> float:
    """Return the largest difference of a probability that maps in float16 make."""
    backbones = task.model.backbones
    images = torch.randn(BATCH, 3, SIZE, SIZE)
    present = torch.ones(BATCH, backbones.modalities, dtype=torch.bool)
    maps = [
        packed_maps(backbones.part(m), images, backbones.layouts[m])
        for m in range(backbones.modalities)
    ]
    task.eval()
    with torch.no_grad():
        exact, rounded = (
            task.model([m.to(kind) for m in maps], present).logits.softmax(dim=1)
            for kind in (torch.float32, torch.float16)
        )
    return float((exact - rounded).abs().max())


def measure(folder: Path, rounds: int) -> list[Row]:
    """Measure everything."""
    make_cohort(PhantomConfig(out=str(folder / "cohort"), lesions=LESIONS, size=SIZE))
    network = timm.create_model(BACKBONE)
    save_file(network.state_dict(), folder / "weights.safetensors")
    rows = []
    for method in ("agfnet", "concatenation"):
        config = settings(folder, method)
        start = time.process_time()
        task, kept, count = prepare(config)
        seconds = time.process_time() - start
        bare = replace(config, data=replace(config.data, feature_cache_mb=0))
        measures = {"kept maps": kept, "backbones in every step": prepare(bare)[1]}
        values = in_rounds(measures, rounds)
        rows += rows_against(values, "backbones in every step", f"epoch, {method}", "seconds")
        if method == "agfnet":
            alone = in_rounds({"alone": backbones_alone(task)}, rounds)["alone"]
            rows.append(
                row(
                    "filling",
                    "seconds per 1000",
                    seconds * 1000 / count,
                    sorted(alone)[rounds // 2],
                )
            )
            size = (folder / "cache" / FILE).stat().st_size / count / 1e3
            rows.append(row("room", "kB per image", size, 3 * SIZE**2 / 1e3))
            rows.append(row("rounding", "probability", rounding(task)))
    return rows


def main() -> None:
    """Run the benchmark."""
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), arguments.rounds)
    finish(rows, arguments, f"{LESIONS} lesions, {VARIANTS} variants, {BACKBONE}, {SIZE} px")


if __name__ == "__main__":
    main()
