"""Actions between the steps of a training: history, checkpoints, and checks of the loss."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, Checkpoint, WeightAveraging
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from agfnet.config import FitConfig
from agfnet.errors import RunError
from agfnet.files import write_json, write_text
from agfnet.training.checkpoints import FOLDER, LAST, PROGRESS, progress
from agfnet.training.processes import ALONE, World
from agfnet.training.stopping import StopRequest
from agfnet.types import Batch

NONFINITE = "nonfinite.json"
"""File of a run folder for the step whose loss was not finite."""


class History(Callback):
    """Write `history.csv`, one row per finished epoch; checkpoints hold the rows so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []

    def state_dict(self) -> dict[str, Any]:
        """Return the rows so far, for the checkpoint."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the rows from the checkpoint."""
        self.rows = state_dict["rows"]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add a row."""
        measured = {name: float(value) for name, value in trainer.callback_metrics.items()}
        measured.pop("loss", None)
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        self.rows.append({"epoch": trainer.current_epoch, "lr": rate, **measured})
        if not trainer.is_global_zero:
            return
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())


class MovingAverage(WeightAveraging):
    """The exponential moving average of the weights, which is what validation and the run keep.

    Unlike the class of Lightning for it, it updates all weights together: one after the other
    takes as long as the training step of a small network.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(multi_avg_fn=get_ema_multi_avg_fn(decay))


class Checkpoints(Checkpoint):
    """Write checkpoints at the end of every epoch, within long ones, and when a signal arrives.

    As a `Checkpoint`, Lightning calls it after all other callbacks.

    Args:
        folder: the run folder.
        config: how often.
        request: the signal that has arrived, if any.
        loader: of the training cases; one with a state continues within an epoch.
        keep_best: keep the epoch with the lowest validation loss, not the last one.
        world: the processes that train together.
    """

    def __init__(
        self,
        folder: Path,
        config: FitConfig,
        request: StopRequest,
        loader: Any = None,
        *,
        keep_best: bool = False,
        world: World = ALONE,
    ) -> None:
        self.world = world
        self.loader = loader
        self.keep_best = keep_best
        self.path = folder / FOLDER / LAST
        self.config = config
        self.request = request
        self.best = math.inf
        self.best_epoch: int | None = None
        self.finished = False
        self.written = time.monotonic()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the best epoch so far, and whether training is over."""
        checkpoint[PROGRESS] = {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "finished": self.finished,
        }

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Restore the best epoch; a training that is over, by early stopping too, stays so."""
        before = progress(checkpoint)
        self.best, self.best_epoch = before["best"], before["best_epoch"]
        self.finished = trainer.should_stop = before["finished"]
        # Lightning restores loaders only when it sets them up, which the number of steps that the
        # schedule needs has made it do already
        for state in checkpoint["loops"]["fit_loop"]["state_dict"].get("combined_loader", []):
            self.loader.load_state_dict(state)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Handle signals here, not in Lightning."""
        self.request.install()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Write a checkpoint if one is due; not after the last step, as the epoch ends soon.

        Raises:
            StoppedError: a signal has arrived.
        """
        steps, part = divmod(batch_idx + 1, trainer.accumulate_grad_batches)
        if trainer.is_last_batch or part:
            return
        every = self.config.checkpoint_steps
        minutes = (time.monotonic() - self.written) / 60
        due = self.stopping or minutes >= self.config.checkpoint_minutes
        due = due or (every is not None and steps % every == 0)
        if trainer.world_size > 1:  # all write it, or none
            due = trainer.strategy.reduce_boolean_decision(due, all=False)
        if due:
            self.write(trainer)
            self.stop(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write a checkpoint, which is also the one to keep unless an earlier one is better.

        Raises:
            StoppedError: a signal has arrived.
        """
        loss = float(trainer.callback_metrics["val_nll"])
        epochs = trainer.max_epochs
        self.finished = trainer.should_stop or trainer.current_epoch + 1 == epochs
        best = loss < self.best if self.keep_best else self.finished
        if best:
            self.best, self.best_epoch = loss, trainer.current_epoch
        self.write(trainer, best=best)
        if not self.finished:
            self.stop(trainer)

    @property
    def stopping(self) -> bool:
        """True if a signal has arrived."""
        return self.request.signal is not None

    def write(self, trainer: pl.Trainer, *, best: bool = False) -> None:
        """Write a checkpoint, with the unreadable images of all processes."""
        if self.world.size > 1:
            for faults in self.world.gather(self.loader.unreadable):
                self.loader.add_unreadable(faults)
        trainer.save_checkpoint(self.path, weights_only=False, storage_options=best)
        self.written = time.monotonic()

    def stop(self, trainer: pl.Trainer) -> None:
        """Stop if a signal has arrived, in any of the processes.

        Raises:
            StoppedError: it has.
        """
        stopping = self.stopping
        if trainer.world_size > 1:
            stopping = trainer.strategy.reduce_boolean_decision(stopping, all=False)
        if stopping:
            raise self.request.error()


class Step(NamedTuple):
    """Values of a step that have to be finite; they may still be on their way from a GPU."""

    values: dict[str, Tensor]
    positions: Tensor  # of the cases of the batch
    epoch: int  # from 1
    step: int  # of the epoch, from 1


class FiniteLoss(Callback):
    """Stop training if a loss or gradient is not finite, before a checkpoint holds the damage.

    On a GPU, the values of a step are read after the next one, so that nothing waits for them.

    Args:
        folder: the run folder.
        lesion_ids: of the training cases, in the order of their dataset.
        world: the processes that train together. All of them see the loss of the whole batch, so
            that they stop at the same step.
    """

    def __init__(self, folder: Path, lesion_ids: Sequence[str], world: World = ALONE) -> None:
        self.world = world
        self.file = folder / NONFINITE
        if world.first:
            self.file.unlink(missing_ok=True)
        self.lesion_ids = lesion_ids
        self.steps: list[Step] = []

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Check the loss.

        Raises:
            RunError: it is not finite.
        """
        values = {"loss": cast(Tensor, pl_module.loss)}
        norm = cast(Tensor | None, pl_module.gradient_norm)
        if norm is not None and trainer.scaler is None:  # a scaler skips steps that overflow
            values["gradient norm"] = norm
        self.steps.append(Step(values, batch.index, trainer.current_epoch + 1, batch_idx + 1))
        self.check(waiting=int(values["loss"].is_cuda))

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check the losses that remain, and that of validation.

        Raises:
            RunError: one is not finite.
        """
        self.check()
        value = float(trainer.callback_metrics.get("val_nll", 0.0))
        if not math.isfinite(value):
            raise RunError(self.message("validation loss", value, trainer.current_epoch + 1))

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Check the losses that remain, before the checkpoint is written.

        Raises:
            RunError: one is not finite.
        """
        self.check()

    def check(self, waiting: int = 0) -> None:
        """Check all steps but the last `waiting` ones."""
        while len(self.steps) > waiting:
            step = self.steps.pop(0)
            for name, tensor in step.values.items():
                value = float(tensor)
                if not math.isfinite(value):
                    self.report(step, name, value)

    def report(self, step: Step, name: str, value: float) -> None:
        """Write the lesions of the batch to the run folder, and stop."""
        positions = [i for part in self.world.gather(step.positions.tolist()) for i in part]
        lesions = [self.lesion_ids[i] for i in positions] if self.lesion_ids else []
        where = {"epoch": step.epoch, "step": step.step, "value": f"{name}: {value}"}
        if self.world.first:
            write_json(self.file, where | {"lesions": lesions})
        raise RunError(
            self.message(name, value, step.epoch, step.step)
            + f"; {self.file} lists the lesions of this batch"
        )

    def message(self, name: str, value: float, epoch: int, step: int | None = None) -> str:
        """Return what is wrong, and what helps."""
        step_name = f"epoch {epoch}" + ("" if step is None else f", step {step}")
        return (
            f"{self.file.parent}: the {name} of {step_name} is {value}; the checkpoints are from"
            " before it. Train under another --name with a lower --optim.lr or with"
            " --optim.precision 32-true, and check the images with `agfnet check`"
        )
