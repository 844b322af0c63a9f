"""Progress bar of a training: epochs counted from 1, and the time left."""

from __future__ import annotations

import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import RichProgressBar
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn
from rich.text import Text

from agfnet.config import format_duration

BAR = 10
"""Characters of the bar, so that the whole line fits 80."""


class TrainingProgress(RichProgressBar):
    """The progress bar of Lightning, with the time that the training will still take."""

    def configure_columns(self, trainer: pl.Trainer) -> list[Any]:
        """Return the columns: epoch, bar, steps of the epoch, and time left."""
        return [
            TextColumn("{task.description}"),
            BarColumn(bar_width=BAR),
            MofNCompleteColumn(),
            TimeLeft(trainer),
        ]

    def get_metrics(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Return the losses, without the version number of a logger."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return metrics

    def _get_train_description(self, current_epoch: int) -> str:
        return f"Epoch {current_epoch + 1}/{self.trainer.max_epochs}"


class TimeLeft(ProgressColumn):
    """Time that the remaining steps of all epochs will take, at the speed since the first one."""

    max_refresh = 0.5  # seconds

    def __init__(self, trainer: pl.Trainer) -> None:
        super().__init__()
        self.trainer = trainer
        self.start: tuple[float, float] | None = None  # time and position after the first step

    def render(self, task: Task) -> Text:
        """Return the time; a dash before the second step."""
        now, epochs = time.monotonic(), self.trainer.max_epochs
        position = self.trainer.current_epoch + task.completed / (task.total or 1)
        if self.start is None and task.completed:
            self.start = now, position
        if self.start is None or epochs is None or position <= self.start[1]:
            return Text("-")
        per_epoch = (now - self.start[0]) / (position - self.start[1])
        return Text(f"{format_duration(per_epoch * max(0, epochs - position))} left")
