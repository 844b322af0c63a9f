"""A task of one weight, whose course is known, for tests of the trainer."""

from __future__ import annotations

import csv
import os
import signal
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from agfnet.config import FitConfig, ModalityConfig, OptimConfig
from agfnet.data.dataset import CasesDataset
from agfnet.data.table import Case
from agfnet.training.checkpoints import load_checkpoint
from agfnet.training.stopping import StopRequest
from agfnet.training.trainer import run_trainer
from agfnet.types import Batch, Output

CONFIG = OptimConfig(epochs=4, lr=0.1, precision="32-true")
STEPS = 3


def imageless(count: int) -> CasesDataset:
    """Return a dataset of cases without images."""
    case = Case("L", "P", "a", {"clinical": ()}, {}, "train", {}, 1)
    return CasesDataset(
        cases=[case] * count,
        classes=("a", "b"),
        modalities={"clinical": ModalityConfig()},
        size=8,
        mean=(0.5, 0.5, 0.5),
        std=(1, 1, 1),
        augment=False,
    )


def loader(count: int) -> DataLoader[Batch]:
    batches = [
        Batch(
            images=(torch.zeros(2, 3, 8, 8),),
            present=torch.ones(2, 1, dtype=torch.bool),
            labels=torch.zeros(2, dtype=torch.int64),
            index=torch.arange(2),
        )
    ] * count
    # without a generator, each epoch would draw from the one that dropout draws from
    return DataLoader(batches, batch_size=None, generator=torch.Generator())  # type: ignore


class Ramp(nn.Module):
    """A network whose validation loss is least where its weight is `best`."""

    def __init__(self, best: float) -> None:
        super().__init__()
        self.best = best
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, images: Any, present: Tensor) -> Output:
        score = -((self.weight - self.best) ** 2)
        return Output(torch.stack([score, torch.zeros(())]).expand(len(present), 2))


class RampTask(nn.Module):
    """Increase the weight in every step, with noise as from dropout.

    Args:
        best: weight of the lowest validation loss.
        stop_after: steps after which Ctrl-C stops the training.
        term_at: number of a step in which a scheduler sends SIGTERM.
        nan_at: number of a step whose loss is not a number.
        scale: factor of the gradient.
    """

    def __init__(
        self,
        *,
        best: float = 1.0,
        stop_after: int | None = None,
        term_at: int | None = None,
        nan_at: int | None = None,
        scale: float = 1,
    ) -> None:
        super().__init__()
        self.model = Ramp(best)
        self.stop_after, self.term_at, self.nan_at = stop_after, term_at, nan_at
        self.scale = scale
        self.course: list[float] = []  # weights before each step

    def forward(self, batch: Batch, progress: float, *_: Any) -> dict[str, Tensor]:
        if len(self.course) == self.stop_after:
            raise KeyboardInterrupt
        self.course.append(self.model.weight.item())
        if len(self.course) == self.term_at:
            os.kill(os.getpid(), signal.SIGTERM)
        if len(self.course) == self.nan_at:
            return {"loss": self.model.weight * torch.nan}
        return {"loss": -self.scale * self.model.weight * (0.5 + torch.rand(()))}


def train(
    folder: Path,
    task: RampTask,
    config: OptimConfig = CONFIG,
    seed: int = 0,
    *,
    fit: FitConfig = FitConfig(),  # noqa: B008 - frozen
    request: StopRequest | None = None,
) -> None:
    run_trainer(
        folder=folder,
        task=task,  # type: ignore[arg-type]
        train=loader(STEPS),
        val=loader(1),
        config=config,
        fit=fit,
        seed=seed,
        progress=False,
        request=request or StopRequest(),
        lesion_ids=["L0", "L1"],
    )


def weight(folder: Path, name: str) -> float:
    checkpoint = load_checkpoint(folder / "checkpoints" / name)
    return float(checkpoint["state_dict"]["task.model.weight"])


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))
