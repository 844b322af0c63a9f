"""The trainer on a task of one weight, whose course is known: checkpoints, resuming, averages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from agfnet.config import OptimConfig
from agfnet.errors import RunError
from agfnet.training import trainer
from agfnet.training.checkpoints import load_checkpoint
from agfnet.training.trainer import precision

from .ramp import CONFIG, STEPS, RampTask, rows, train, weight


def test_the_last_epoch_is_kept(tmp_path: Path) -> None:
    train(tmp_path, RampTask(best=0.3))
    losses = [float(row["val_nll"]) for row in rows(tmp_path)]
    assert losses.index(min(losses)) < 3
    assert load_checkpoint(tmp_path / "checkpoints" / "best.ckpt")["epoch"] == 3
    assert weight(tmp_path, "best.ckpt") == weight(tmp_path, "last.ckpt")


@pytest.mark.parametrize("setting", [{"keep": "best"}, {"patience": 3}])
def test_the_epoch_of_the_lowest_validation_loss_is_kept(
    tmp_path: Path, setting: dict[str, Any]
) -> None:
    """If it is asked for, and with early stopping."""
    train(tmp_path, RampTask(best=0.6), replace(CONFIG, **setting))
    losses = [float(row["val_nll"]) for row in rows(tmp_path)]
    best = losses.index(min(losses))
    assert 0 < best < 3  # neither the first nor the last epoch
    assert load_checkpoint(tmp_path / "checkpoints" / "best.ckpt")["epoch"] == best
    assert weight(tmp_path, "best.ckpt") < weight(tmp_path, "last.ckpt")


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["none", "empty", "cut"])
def test_a_resumed_run_repeats_only_what_is_lost(tmp_path: Path, damage: str) -> None:
    """It ends with the same weights and history, also if the last checkpoint is damaged."""
    whole = RampTask(best=0.3)
    train(tmp_path / "whole", whole)
    folder = tmp_path / "stopped"
    with pytest.raises(RunError, match=r"stopped in epoch 3 of 4; .*--resume"):
        train(folder, RampTask(best=0.3, stop_after=2 * STEPS + 1))
    last = folder / "checkpoints" / "last.ckpt"
    content = last.read_bytes()
    if damage != "none":
        last.write_bytes(content[: 0 if damage == "empty" else len(content) // 2])
    resumed = RampTask(best=0.3)
    train(folder, resumed)
    lost = 0 if damage == "none" else STEPS  # the best checkpoint is that of the first epoch
    assert len(resumed.course) == 2 * STEPS + lost
    assert resumed.course == whole.course[-len(resumed.course) :]
    assert weight(folder, "last.ckpt") == weight(tmp_path / "whole", "last.ckpt")
    history = (tmp_path / "whole" / "history.csv").read_text()
    assert (folder / "history.csv").read_text() == history


def test_the_moving_average_of_the_weights_is_kept(tmp_path: Path) -> None:
    task = RampTask(best=5.0)
    train(tmp_path, task, replace(CONFIG, ema=0.8))
    average = task.course[1]
    for value in (*task.course[2:], task.course[-1]):  # the last step hardly moves
        average = 0.8 * average + 0.2 * value
    assert weight(tmp_path, "last.ckpt") == pytest.approx(average, abs=0.003)
    assert max(task.course) - average > 0.02


@pytest.mark.parametrize(("scale", "expected"), [(1000.0, 0.5), (0.1, None)])
def test_gradients_are_clipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scale: float, expected: float | None
) -> None:
    norms: list[float] = []
    build = trainer.build_optimizer

    def watched(task: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
        optimizer = build(task, config)
        optimizer.register_step_post_hook(
            lambda *_: norms.append(float(abs(task.model.weight.grad)))  # type: ignore
        )
        return optimizer

    monkeypatch.setattr(trainer, "build_optimizer", watched)
    config = replace(CONFIG, epochs=1, gradient_clip_norm=0.5)
    train(tmp_path, RampTask(scale=scale), config)
    assert len(norms) == STEPS
    if expected is None:
        assert max(norms) < 0.16  # between 0.5 and 1.5 times the scale, as it is
    else:
        assert norms == pytest.approx([expected] * STEPS, rel=1e-3)


def test_dropout_depends_on_seed_epoch_and_step(tmp_path: Path) -> None:
    def draws(name: str, seed: int) -> list[float]:
        """Return a draw in each of the six steps of two epochs."""
        task = RampTask()
        values: list[float] = []
        task.register_forward_pre_hook(lambda *_: values.append(float(torch.rand(()))))
        train(tmp_path / name, task, replace(CONFIG, epochs=2), seed=seed)
        return values

    first = draws("first", 0)
    assert first == draws("again", 0)
    assert len({*first, *draws("other", 1)}) == 12


def test_early_stopping(tmp_path: Path) -> None:
    train(tmp_path, RampTask(best=0.0), replace(CONFIG, epochs=9, patience=2))
    assert len(rows(tmp_path)) == 3  # the first epoch is the best


def test_auto_precision_needs_a_gpu_that_computes_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch emulates bf16 on GPUs before Ampere, at a fraction of the speed of fp32."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for native, expected in ((True, "bf16-mixed"), (False, "32-true")):
        monkeypatch.setattr(
            torch.cuda,
            "is_bf16_supported",
            lambda including_emulation=True, native=native: including_emulation or native,
        )
        assert precision("auto") == expected
    assert precision("16-mixed") == "16-mixed"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert precision("auto") == "32-true"
