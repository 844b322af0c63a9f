"""A training step: its parts, its distance to the floor, its memory, the loader, two processes.

    python bench/training.py --json bench/results/training.json

MobileNetV2 at 96 px, on one thread per process. Every round measures everything once; a ratio is
taken within each round, and the median over the rounds is reported.

- parts: seconds of a step of AGFnet by part, against the whole step.
- step: seconds against the floor, which is a step of the two bare backbones with data in memory.
- memory: bytes that a step holds at most (stored for the backward pass, parameters, gradients and
  optimiser), against concatenation.
- loader: seconds that the step waits for a batch of cached images from one worker, against the
  whole step.
- two processes: efficiency, as seconds of a step of one process against twice the seconds of the
  same batch in two (gloo), with and without batch normalisation over the whole batch.
"""

from __future__ import annotations

import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from common import Row, finish, in_rounds, median_ratio, options, row
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from agfnet.config import BackboneConfig, DataConfig, ModelConfig, PhantomConfig, TrainConfig
from agfnet.models.build import image_statistics
from agfnet.phantom.cohort import make_cohort
from agfnet.training.batch_norm import synchronise
from agfnet.training.cases import build_datasets, build_loaders, read_table, select_cases
from agfnet.training.optim import build_optimizer
from agfnet.training.tasks import build_task
from agfnet.types import Batch

BACKBONE, SIZE, BATCH, CLASSES, LESIONS = "mobilenetv2_100", 96, 32, 10, 240
PARTS = ("load", "transfer", "forward", "backward", "optimiser")
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def settings(method: str = "agfnet", cases: str = "") -> TrainConfig:
    """Return the settings of a training."""
    model = ModelConfig(method=method, backbone=BackboneConfig(name=BACKBONE, weights="random"))
    return TrainConfig(data=DataConfig(cases=cases, size=SIZE, workers=1), model=model)


class Steps:
    """Training steps of a method, by part.

    Args:
        method: the method; `floor` is the two bare backbones.
        batches: the batches; None gives the same one again, from memory.
    """

    def __init__(self, method: str, batches: Iterator[Batch] | None = None) -> None:
        config = settings("agfnet" if method == "floor" else method)
        self.task = build_task(config, list(range(CLASSES)), CLASSES).to(DEVICE).train()
        self.floor = method == "floor"
        self.optimizer = build_optimizer(
            self.task.model.backbones if self.floor else self.task, config.optim
        )
        self.batches = batches or itertools.repeat(random_batch(BATCH).to(DEVICE))

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the loss of a batch."""
        if not self.floor:
            return self.task(batch, 0.5)["loss"]
        maps = self.task.model.backbones(batch.images, batch.present)
        return sum(scale.square().mean() for scales in maps for scale in scales)

    def parts(self) -> dict[str, float]:
        """Return the seconds of each part of a step."""
        times = [now()]
        batch = next(self.batches)
        times.append(now())
        batch = batch.to(DEVICE)
        times.append(now())
        loss = self.loss(batch)
        times.append(now())
        loss.backward()
        times.append(now())
        self.optimizer.step()
        self.optimizer.zero_grad()
        times.append(now())
        return {name: b - a for name, (a, b) in zip(PARTS, itertools.pairwise(times), strict=True)}

    def memory(self) -> float:
        """Return the bytes that a step holds at most."""
        stored: dict[int, int] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            stored[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = self.loss(next(self.batches).to(DEVICE))
        loss.backward()
        self.optimizer.zero_grad()
        weights = [p for group in self.optimizer.param_groups for p in group["params"]]
        sizes = {w.untyped_storage().data_ptr(): w.untyped_storage().nbytes() for w in weights}
        return sum((stored | sizes).values()) + 3 * sum(sizes.values())  # gradient, two moments


def now() -> float:
    """Return the time when all work is done."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def random_batch(count: int) -> Batch:
    """Return random pairs of images."""
    return Batch(
        images=tuple(torch.randn(count, 3, SIZE, SIZE) for _ in range(2)),
        present=torch.ones(count, 2, dtype=torch.bool),
        labels=torch.arange(count) % CLASSES,
        index=torch.arange(count),
    )


def cached_batches(folder: Path) -> Iterator[Batch]:
    """Yield the batches of epochs whose images are in the cache."""
    cohort = make_cohort(PhantomConfig(out=str(folder / "cohort"), lesions=LESIONS, size=SIZE))
    config = settings(cases=str(cohort))
    table = read_table(config.data)
    datasets = build_datasets(
        select_cases(table, config), config, table.path, *image_statistics(config.model)
    )
    train, _ = build_loaders(datasets, config)
    for _ in train:  # fills the cache
        pass
    for epoch in itertools.count(1):
        train.batch_sampler.sampler.set_epoch(epoch)  # type: ignore[union-attr]
        yield from train


def steps(rounds: int) -> list[Row]:
    """Measure the parts, the distance to the floor, the loader and the memory."""
    with tempfile.TemporaryDirectory() as folder:
        loaded = Steps("agfnet", cached_batches(Path(folder)))
        plain = {name: Steps(name) for name in ("agfnet", "concatenation", "floor")}
        parts: list[dict[str, float]] = []

        def split() -> float:
            parts.append(loaded.parts())
            return sum(parts[-1].values())

        measures: dict[str, Callable[[], float]] = {"loaded": split}
        for name, each in plain.items():
            measures[name] = lambda each=each: sum(each.parts().values())  # type: ignore[misc]
        times = in_rounds(measures, rounds)
    whole = times.pop("loaded")
    rows = []
    for name in PARTS:
        values = [part[name] for part in parts[1:]]
        median = statistics.median(values), statistics.median(whole)
        title = "loader" if name == "load" else "part"
        rows.append(row(f"{title}, {name}", "seconds", *median, ratio=median_ratio(values, whole)))
    for name in ("agfnet", "concatenation"):
        median = statistics.median(times[name]), statistics.median(times["floor"])
        ratio = median_ratio(times[name], times["floor"])
        rows.append(row(f"step, {name}, against the floor", "seconds", *median, ratio=ratio))
    memory = {name: plain[name].memory() / 2**20 for name in ("agfnet", "concatenation")}
    rows.append(row("memory of a step", "megabytes", memory["agfnet"], memory["concatenation"]))
    return rows


def two_processes(rank: int, folder: str, rounds: int) -> None:
    """Measure steps of one process and of two, as one of the two; write the efficiencies."""
    os.environ |= {"GLOO_SOCKET_IFNAME": "lo"}
    torch.set_num_threads(1)
    store = distributed.FileStore(f"{folder}/store", 2)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    alone = Steps("concatenation")
    shared = {}
    for name, sync in (("each for itself", False), ("over the whole batch", True)):
        each = Steps("concatenation", itertools.repeat(random_batch(BATCH // 2)))
        if sync:
            synchronise(each.task)
        each.task = DistributedDataParallel(each.task)
        shared[name] = each

    def step(each: Steps, *, together: bool) -> Callable[[], float]:
        def measure() -> float:
            distributed.barrier()
            start = now()
            if together or rank == 0:
                each.parts()
            distributed.barrier()
            return now() - start

        return measure

    measures = {"one": step(alone, together=False)}
    measures |= {name: step(each, together=True) for name, each in shared.items()}
    times = in_rounds(measures, rounds)
    if rank == 0:
        rows = []
        for name in shared:
            twice = [2 * value for value in times[name]]
            median = statistics.median(times["one"]), statistics.median(twice)
            ratio = median_ratio(times["one"], twice)
            title = f"two processes, batch normalisation {name}"
            rows.append(row(title, "efficiency", *median, ratio=ratio))
        torch.save(rows, f"{folder}/rows")
    distributed.destroy_process_group()


def main() -> None:
    """Run everything."""
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = steps(arguments.rounds)
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(two_processes, (folder, arguments.rounds), nprocs=2)
        rows += torch.load(f"{folder}/rows")
    finish(rows, arguments)


if __name__ == "__main__":
    main()
