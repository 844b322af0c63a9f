"""Progress bar of a training: epochs counted from 1, and the time left."""

from __future__ import annotations

import time

import lightning.pytorch as pl
from lightning.pytorch.callbacks import RichProgressBar

from agfnet.config import format_duration


class TrainingProgress(RichProgressBar):
    """The progress bar of Lightning, with the time that the remaining epochs will take."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to measure the time of an epoch."""
        self.start = time.monotonic()
        self.start_epoch = trainer.current_epoch
        super().on_train_start(trainer, pl_module)

    def _get_train_description(self, current_epoch: int) -> str:
        epochs = self.trainer.max_epochs
        text = f"Epoch {current_epoch + 1}/{epochs}"
        finished = current_epoch - self.start_epoch
        if epochs is not None and finished > 0:
            seconds = (time.monotonic() - self.start) / finished * (epochs - current_epoch)
            text += f", {format_duration(seconds)} left"
        return f"{text:{len(self.validation_description)}}"  # equal lengths do not flicker
