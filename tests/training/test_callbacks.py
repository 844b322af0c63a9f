"""Actions between the steps: a training that stops at any step is continued exactly."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from agfnet.config import FitConfig
from agfnet.data.loader import loader as case_loader
from agfnet.errors import RunError, StoppedError
from agfnet.training.checkpoints import FOLDER, load_checkpoint
from agfnet.training.stopping import StopRequest
from agfnet.training.trainer import run_trainer
from agfnet.types import Batch

from .ramp import CONFIG, STEPS, RampTask, imageless, loader, rows, train, weight

SHORT = replace(CONFIG, epochs=2)
EVERY_STEP = FitConfig(checkpoint_minutes=0)


@pytest.mark.slow
def test_a_run_continues_from_any_step(tmp_path: Path) -> None:
    """With the same weights, losses and history; only the steps after the last checkpoint."""
    config = replace(SHORT, ema=0.8)
    whole = RampTask(best=0.3)
    train(tmp_path / "whole", whole, config)
    for stop in range(1, 2 * STEPS):
        folder = tmp_path / str(stop)
        with pytest.raises(RunError, match=f"stopped in epoch {stop // STEPS + 1} of 2"):
            train(folder, RampTask(stop_after=stop, best=0.3), config, fit=EVERY_STEP)
        resumed = RampTask(best=0.3)
        train(folder, resumed, config)
        assert resumed.course == whole.course[stop:], stop
        assert rows(folder) == rows(tmp_path / "whole")
        for name in ("last.ckpt", "best.ckpt"):
            assert weight(folder, name) == weight(tmp_path / "whole", name)


def test_checkpoints_within_an_epoch(tmp_path: Path) -> None:
    """Every second step, here; never with the default of ten minutes."""
    with pytest.raises(RunError):
        train(tmp_path, RampTask(stop_after=2), fit=FitConfig(checkpoint_steps=2))
    assert load_checkpoint(tmp_path / FOLDER / "last.ckpt")["global_step"] == 2
    with pytest.raises(RunError):
        train(tmp_path / "default", RampTask(stop_after=2))
    assert not (tmp_path / "default" / FOLDER).exists()


@pytest.mark.parametrize("step", [2, STEPS, 2 * STEPS])
def test_a_signal_stops_at_the_next_checkpoint(tmp_path: Path, step: int) -> None:
    """At once within an epoch; after its last step, when the epoch or the training has ended."""
    whole = RampTask()
    train(tmp_path / "whole", whole, SHORT)
    request = StopRequest()
    task = RampTask(term_at=step)
    with pytest.raises(StoppedError, match=r"stopped by SIGTERM; .* --resume"):
        train(tmp_path, task, SHORT, request=request)
    assert len(task.course) == step
    resumed = RampTask()
    train(tmp_path, resumed, SHORT)
    assert task.course + resumed.course == whole.course
    assert rows(tmp_path) == rows(tmp_path / "whole")


def test_early_stopping_is_final(tmp_path: Path) -> None:
    """Also if the process is killed before the bundle is written."""
    config = replace(CONFIG, epochs=9, patience=1)
    train(tmp_path, RampTask(best=0.0), config)
    again = RampTask(best=0.0)
    train(tmp_path, again, config)
    assert again.course == []
    assert len(rows(tmp_path)) == 2


@pytest.mark.parametrize("step", [STEPS + 1, 2 * STEPS])
def test_a_loss_that_is_not_a_number_stops_training(
    tmp_path: Path, step: int, fits_schema: Callable[[str, Any], None]
) -> None:
    with pytest.raises(RunError) as caught:
        train(tmp_path, RampTask(nan_at=step), fit=EVERY_STEP)
    text = str(caught.value)
    place = f"epoch 2, step {step - STEPS}"
    assert f"the loss of {place} is nan" in text
    assert "\n" not in text
    assert "L0" not in text  # identifiers stay in the run folder
    record = json.loads((tmp_path / "nonfinite.json").read_text())
    fits_schema("nonfinite.json", record)
    assert record == {
        "epoch": 2,
        "step": step - STEPS,
        "value": "loss: nan",
        "lesions": ["L0", "L1"],
    }
    for name in ("last.ckpt", "previous.ckpt"):
        assert weight(tmp_path, name) < 1  # a number
    assert load_checkpoint(tmp_path / FOLDER / "last.ckpt")["global_step"] == step - 1


class Recorder(RampTask):
    """Also keep the cases of each batch."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.cases: list[list[int]] = []

    def forward(self, batch: Batch, progress: float, *_: Any) -> dict[str, Tensor]:
        losses = super().forward(batch, progress)
        self.cases.append(batch.index.tolist())
        return losses


@pytest.mark.parametrize("stop", [2, 5])
def test_a_run_continues_with_the_cases_that_remain(tmp_path: Path, stop: int) -> None:
    """Of the epoch in which it was stopped, in its order."""
    dataset = imageless(10)

    def train_on_cases(folder: Path, task: Recorder) -> None:
        run_trainer(
            folder=folder,
            task=task,  # type: ignore[arg-type]
            train=case_loader(dataset, batch_size=4, shuffle=True, workers=0, seed=0),
            val=loader(1),
            config=SHORT,
            fit=EVERY_STEP,
            seed=0,
            progress=False,
            request=StopRequest(),
        )

    whole, begun, resumed = Recorder(), Recorder(stop_after=stop), Recorder()
    train_on_cases(tmp_path / "whole", whole)
    with pytest.raises(RunError):
        train_on_cases(tmp_path / "stopped", begun)
    train_on_cases(tmp_path / "stopped", resumed)
    assert len({tuple(cases) for cases in whole.cases}) == 2 * 3
    assert begun.cases + resumed.cases == whole.cases
