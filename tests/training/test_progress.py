from __future__ import annotations

import time
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.callbacks.progress.rich_progress import CustomProgress, MetricsTextColumn
from rich.console import Console

from agfnet.training.progress import TrainingProgress


class Screen:
    """The progress bar of a training on a terminal of 80 columns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, epochs: int) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        self.bar = TrainingProgress()
        self.trainer: Any = SimpleNamespace(
            max_epochs=epochs,
            current_epoch=0,
            progress_bar_callback=self.bar,
            state=SimpleNamespace(fn="fit"),
            sanity_checking=False,
            training=True,
        )
        self.bar._trainer = self.trainer
        self.metrics = MetricsTextColumn(self.trainer, "", " ", ".3f")
        columns = [*self.bar.configure_columns(self.trainer), self.metrics]
        for column in columns:
            column.max_refresh = None
        self.console = Console(width=80, file=StringIO())
        self.progress = CustomProgress(*columns, console=self.console)

    def line(self, *, epoch: int, step: int, steps: int) -> str:
        self.trainer.current_epoch = epoch
        description = self.bar._get_train_description(epoch)
        if not self.progress.tasks:
            self.bar.train_progress_bar_id = self.progress.add_task(description, total=steps)
        self.progress.update(self.progress.task_ids[0], description=description, completed=step)
        with self.console.capture() as shown:
            self.console.print(self.progress.make_tasks_table(self.progress.tasks))
        return shown.get().rstrip()


def test_epochs_are_counted_from_1_and_time_left_from_where_a_run_was_resumed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Screen(monkeypatch, epochs=12)
    assert screen.line(epoch=2, step=0, steps=10).endswith(" 0/10 -")
    screen.line(epoch=2, step=5, steps=10)  # resumed in the middle of the epoch
    screen.now += 30
    line = screen.line(epoch=3, step=0, steps=10)  # half an epoch later
    assert line.startswith("Epoch 4/12 ")
    assert line.endswith("9 min left")  # 9 epochs of a minute
    screen.now += 570
    assert screen.line(epoch=11, step=10, steps=10).endswith("0 s left")


def test_a_late_epoch_of_a_long_training_fits_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(monkeypatch, epochs=1000)
    screen.metrics.update({"loss": 0.123, "val_nll": 12.345})
    screen.line(epoch=998, step=1, steps=12345)
    screen.now += 100
    line = screen.line(epoch=998, step=2, steps=12345)
    assert "\n" not in line
    assert line.startswith("Epoch 999/1000 ")
    assert "2/12345 685.8 h left loss: 0.123 val_nll: 12.345" in line
