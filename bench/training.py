"""A training step: its parts, its distance to the floor, its memory, the loader, two processes.

    python bench/training.py --json bench/results/training.json

MobileNetV2 at 96 px, 16 pairs, one thread per process. On a CPU, work is measured in CPU seconds,
which other programs on the machine do not change, and waiting in seconds. Every round measures
everything once; a ratio is taken within each round, and the median over the rounds is reported.

- memory: what two steps add to a new process at most (the network, gradients, optimiser and
  maps), against concatenation; and with gradient checkpointing, against without.
- allocation: a step of AGFnet and of the bare backbones with freed memory kept in the process,
  as in training, against giving it back to the system. All other parts keep it.
- step: against the floor, which is a step of the two bare backbones with data in memory.
- parts: parts of a step of AGFnet, against the whole step.
- loader: seconds that an epoch waits for batches of cached images from one worker, its begin
  included, against the seconds of the epoch.
- two processes: CPU seconds of a step of one process against those of two (gloo) for the same
  batch, with and without batch normalisation over the whole batch. Waiting is not in it.
"""

from __future__ import annotations

import csv
import itertools
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from common import Row, finish, in_rounds, median_ratio, options, row
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from agfnet.allocation import keep_freed_memory
from agfnet.config import (
    BackboneConfig,
    DataConfig,
    FitConfig,
    ModelConfig,
    PhantomConfig,
    TrainConfig,
)
from agfnet.models.build import image_statistics
from agfnet.phantom.cohort import make_cohort
from agfnet.training.batch_norm import synchronise
from agfnet.training.cases import build_datasets, build_loaders, read_table, select_cases
from agfnet.training.optim import build_optimizer
from agfnet.training.tasks import build_task
from agfnet.types import Batch

BACKBONE, SIZE, BATCH, CLASSES = "mobilenetv2_100", 96, 16, 10
LESIONS, REPEATS = 24, 20
PARTS = ("transfer", "forward", "backward", "optimiser")
METHODS = ("agfnet", "concatenation")
DEFAULT_SIZE = DataConfig.size
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def settings(method: str = "agfnet", cases: str = "", *, saving: bool = False) -> TrainConfig:
    """Return the settings of a training, with gradient checkpointing if `saving`."""
    model = ModelConfig(method=method, backbone=BackboneConfig(name=BACKBONE, weights="random"))
    fit = FitConfig(gradient_checkpointing=saving)
    return TrainConfig(data=DataConfig(cases=cases, size=SIZE, workers=1), model=model, fit=fit)


class Steps:
    """Training steps of a method, by part.

    Args:
        method: the method; `floor` is the two bare backbones.
        count: pairs of a batch.
        size: of the images, in pixels.
        saving: with gradient checkpointing.
    """

    def __init__(
        self, method: str, count: int = BATCH, *, size: int = SIZE, saving: bool = False
    ) -> None:
        config = settings("agfnet" if method == "floor" else method, saving=saving)
        self.task = build_task(config, list(range(CLASSES)), CLASSES).to(DEVICE).train()
        self.floor = method == "floor"
        self.optimizer = build_optimizer(
            self.task.model.backbones if self.floor else self.task, config.optim
        )
        self.batch = random_batch(count, size)

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the loss of a batch."""
        if not self.floor:
            return self.task(batch, 0.5)["loss"]
        maps = self.task.model.backbones(batch.images, batch.present)
        return sum(scale.square().mean() for scales in maps for scale in scales)

    def parts(self, batch: Batch | None = None) -> dict[str, float]:
        """Return the seconds of each part of a step with a batch, the same one unless given."""
        times = [now()]
        batch = (batch or self.batch).to(DEVICE)
        times.append(now())
        loss = self.loss(batch)
        times.append(now())
        loss.backward()
        times.append(now())
        self.optimizer.step()
        self.optimizer.zero_grad()
        times.append(now())
        return {name: b - a for name, (a, b) in zip(PARTS, itertools.pairwise(times), strict=True)}

    def seconds(self) -> float:
        """Return the seconds of a step."""
        return sum(self.parts().values())


def now() -> float:
    """Return the CPU seconds so far; on a GPU the time when all work is done."""
    if DEVICE.type != "cuda":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def random_batch(count: int, size: int = SIZE) -> Batch:
    """Return random pairs of images."""
    return Batch(
        images=tuple(torch.randn(count, 3, size, size) for _ in range(2)),
        present=torch.ones(count, 2, dtype=torch.bool),
        labels=torch.arange(count) % CLASSES,
        index=torch.arange(count),
    )


def memory() -> list[Row]:
    """Measure the memory of a training."""
    used = {key: in_child(add_memory, *key) for key in itertools.product(METHODS, (False, True))}
    agfnet, concatenation = (used[method, False] for method in METHODS)
    rows = [row("memory, agfnet against concatenation", "megabytes", agfnet, concatenation)]
    for method in METHODS:
        title = f"memory, {method}, gradient checkpointing against none"
        rows.append(row(title, "megabytes", used[method, True], used[method, False]))
    return rows


def add_memory(method: str, saving: bool) -> float:
    """Return the megabytes that two steps add to this process at most."""
    if DEVICE.type != "cuda":
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    steps = Steps(method, saving=saving)
    for _ in range(2):  # the first one makes the state of the optimiser
        steps.parts()
    if DEVICE.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10


def in_child(function: Callable[..., float], *arguments: object) -> float:
    """Return the result of a function that runs in a new process."""
    method = "spawn" if DEVICE.type == "cuda" else "fork"
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        return pool.submit(function, *arguments).result()


def allocation(rounds: int) -> list[Row]:
    """Measure what it saves to keep freed memory in the process."""
    if DEVICE.type == "cuda":
        return []
    rows = []
    for size, method in itertools.product((SIZE, DEFAULT_SIZE), ("agfnet", "floor")):
        times = [
            [in_child(repeated_step, method, size, keep) for keep in (True, False)]
            for _ in range(rounds)
        ]
        title = f"allocation, {method}, {size} px, kept against given back"
        rows += compared(title, *zip(*times, strict=True))
    return rows


def repeated_step(method: str, size: int, keep: bool) -> float:
    """Return the seconds of a step after two others, with or without keeping freed memory."""
    with keep_freed_memory() if keep else nullcontext():
        steps = Steps(method, size=size)
        return [steps.seconds() for _ in range(3)][-1]


def steps(rounds: int) -> list[Row]:
    """Measure the parts of a step and the distance to the floor."""
    each = {name: Steps(name) for name in (*METHODS, "floor")}
    saving = Steps("agfnet", saving=True)
    parts: list[dict[str, float]] = []

    def split() -> float:
        parts.append(each["agfnet"].parts())
        return sum(parts[-1].values())

    measures = {name: steps.seconds for name, steps in each.items()}
    times = in_rounds(measures | {"agfnet": split, "saving": saving.seconds}, rounds)
    rows = []
    for name in METHODS:
        rows += compared(f"step, {name} against the floor", times[name], times["floor"])
    title = "step, agfnet, gradient checkpointing against none"
    rows += compared(title, times["saving"], times["agfnet"])
    for name in PARTS:
        rows += compared(f"part, {name}", [part[name] for part in parts[1:]], times["agfnet"])
    return rows


def compared(title: str, values: Sequence[float], base: Sequence[float]) -> list[Row]:
    """Return a row of medians, with the median of the ratios."""
    medians = statistics.median(values), statistics.median(base)
    return [row(title, "CPU seconds", *medians, ratio=median_ratio(values, base))]


def loader() -> list[Row]:
    """Measure how long an epoch waits for its batches when the images are in the cache."""
    with tempfile.TemporaryDirectory() as folder:
        config = settings(cases=str(repeated_cohort(Path(folder))))
        config = replace(config, optim=replace(config.optim, batch_size=BATCH))
        table = read_table(config.data)
        datasets = build_datasets(
            select_cases(table, config), config, table.path, *image_statistics(config.model)
        )
        train, _ = build_loaders(datasets, config)
        for _ in train:  # fills the cache
            pass
        train.batch_sampler.sampler.set_epoch(1)
        steps, waited = Steps("agfnet"), 0.0
        steps.parts()
        begin = ready = time.perf_counter()
        for batch in train:
            waited += time.perf_counter() - ready
            steps.parts(batch)
            ready = time.perf_counter()
        title = f"loader, epoch of {len(train)} steps"
        return [row(title, "seconds of waiting", waited, ready - begin)]


def repeated_cohort(folder: Path) -> Path:
    """Write a table that names the images of a small phantom many times."""
    cohort = make_cohort(PhantomConfig(out=str(folder / "cohort"), lesions=LESIONS, size=SIZE))
    with cohort.open(newline="") as file:
        rows = list(csv.DictReader(file))
    table = cohort.with_name("repeated.csv")
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        for number, each in itertools.product(range(REPEATS), rows):
            names = {key: f"{each[key]}.{number}" for key in ("lesion_id", "patient_id")}
            writer.writerow(each | names)
    return table


def two_processes(rank: int, folder: str, rounds: int) -> None:
    """Measure steps of one process and of two, as one of the two; write the efficiencies."""
    os.environ |= {"GLOO_SOCKET_IFNAME": "lo"}
    store = distributed.FileStore(f"{folder}/store", 2)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    measures: dict[str, Callable[[], float]] = {}
    for name, sync in (("each for itself", False), ("over the whole batch", True)):
        each = Steps("concatenation", BATCH // 2)
        if sync:
            synchronise(each.task)
        each.task = DistributedDataParallel(each.task)
        measures[name] = lambda each=each: total(each.seconds())
    alone = Steps("concatenation")
    measures["one"] = lambda: total(alone.seconds() if rank == 0 else 0.0)
    times = in_rounds(measures, rounds)
    if rank == 0:
        alone_times = times.pop("one")
        rows: list[Row] = []
        for name, values in times.items():
            title = f"two processes, batch normalisation {name}"
            rows += compared(title, alone_times, values)
        torch.save(rows, f"{folder}/rows")
    distributed.destroy_process_group()


def total(seconds: float) -> float:
    """Return the sum over the processes."""
    value = torch.tensor(seconds)
    distributed.all_reduce(value)
    return float(value)


def efficiency(rounds: int) -> list[Row]:
    """Measure the efficiency of two processes on CPUs."""
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.start_processes(
            two_processes, (folder, rounds), nprocs=2, start_method="fork"
        )
        rows: list[Row] = torch.load(f"{folder}/rows")
        return rows


def main() -> None:
    """Run everything."""
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    rows = allocation(rounds)  # first, since its processes and the next ones are copies of this one
    with keep_freed_memory():
        rows += memory()
        rows += [] if DEVICE.type == "cuda" else efficiency(rounds)
        rows += steps(rounds) + loader()
    finish(rows, parser.parse_args())


if __name__ == "__main__":
    main()
