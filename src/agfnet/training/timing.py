"""Estimate of the time of a training, from a few steps on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import torch

from agfnet.allocation import keep_freed_memory
from agfnet.config import TrainConfig
from agfnet.data.loader import collate
from agfnet.models.build import image_statistics, without_weights
from agfnet.training.cases import build_datasets, read_table, select_cases
from agfnet.training.optim import build_optimizer
from agfnet.training.tasks import Task, build_task
from agfnet.types import Batch

STEPS = 2  # timed, after one that is not


@dataclass(frozen=True)
class Speed:
    """Seconds per case on this machine, of the settings with which they were measured."""

    trained: int
    """Training cases."""
    validated: int
    """Validation cases."""

    file: float
    """Reading the images from their files."""
    cache: float
    """Reading them from the image cache, with augmentation."""
    step: float
    """A training step."""
    forward: float
    """A forward pass."""

    def seconds(self, config: TrainConfig) -> float:
        """Estimate the seconds of a training: reading, training, validation.

        The backbones of kept feature maps answer once per variant of a training case; an epoch
        then takes what a step takes beyond a forward pass.
        """
        trained, validated = self.trained, self.validated
        cases = trained + validated
        epochs, variants = config.optim.epochs, config.data.feature_variants
        first = cases * self.file
        if config.model.backbone.frozen and variants:
            maps = (variants * trained + validated) * (self.cache + self.forward)
            return first + maps + epochs * cases * max(self.step - self.forward, 0.0)
        epoch = trained * (self.cache + self.step) + validated * (self.cache + self.forward)
        return first + epochs * epoch


def run_seconds(config: TrainConfig, device: torch.device) -> float:
    """Estimate the seconds of one training: reading, training steps and validation."""
    return measure_speed(config, device).seconds(config)


@keep_freed_memory()
def measure_speed(config: TrainConfig, device: torch.device) -> Speed:
    """Time a few batches and steps on this machine; weights that would be trained are random."""
    if not config.model.backbone.frozen:
        config = replace(config, model=without_weights(config.model))
    table = read_table(config.data)
    cases = select_cases(table, config)
    mean, std = image_statistics(config.model)
    dataset, *_ = build_datasets(cases, config, table.path, mean, std)
    size = min(config.optim.batch_size, len(dataset))
    reading = []
    for _ in range(2):  # from the files, and from the image cache
        start = time.perf_counter()
        batch = collate([dataset[index] for index in range(size)])
        reading.append((time.perf_counter() - start) / size)
    labels = [cases.classes.index(case.label) for case in cases.train]
    task = build_task(config, labels, len(cases.classes)).to(device)
    step, forward = step_seconds(task, config, batch.to(device))
    return Speed(
        trained=len(cases.train),
        validated=len(cases.val),
        file=reading[0],
        cache=reading[1],
        step=step / size,
        forward=forward / size,
    )


def step_seconds(task: Task, config: TrainConfig, batch: Batch) -> tuple[float, float]:
    """Return the seconds of a training step and of a forward pass of one batch."""
    optimizer = build_optimizer(task, config.optim)
    device = batch.labels.device

    def train() -> None:
        optimizer.zero_grad()
        task(batch, 0.5)["loss"].backward()
        optimizer.step()

    def validate() -> None:
        with torch.no_grad():
            task.model(batch.images, batch.present)

    seconds = []
    for action in (train, validate):
        action()
        start = time.perf_counter()
        for _ in range(STEPS):
            action()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append((time.perf_counter() - start) / STEPS)
    return seconds[0], seconds[1]
