"""Training with Lightning: steps, history, checkpoints, and resuming."""

from __future__ import annotations

import csv
import io
import logging
import shutil
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    EMAWeightAveraging,
    ModelCheckpoint,
    RichProgressBar,
)
from torch import Tensor, nn
from torch.utils.data import DataLoader

from agfnet.config import OptimConfig
from agfnet.errors import RunError
from agfnet.files import replacing, write_text
from agfnet.training.checkpoints import BEST, FOLDER, LAST, find_checkpoint
from agfnet.training.mixing import mix
from agfnet.training.optim import build_optimizer, build_schedule
from agfnet.training.tasks import Task
from agfnet.types import Batch


class TrainingModule(pl.LightningModule):
    """A task as a Lightning module."""

    def __init__(self, *, task: Task, config: OptimConfig, seed: int) -> None:
        super().__init__()
        self.task = task
        self.config = config
        self.seed = seed
        self.outputs: list[tuple[Tensor, Tensor]] = []  # logits and labels of validation

    def configure_optimizers(self) -> Any:
        """Return AdamW with a schedule that changes the learning rate at every step."""
        optimizer = build_optimizer(self.task, self.config)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = build_schedule(optimizer, self.config, steps=steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_train_epoch_start(self) -> None:
        """Make dropout and masking depend on seed and epoch only, so that a resume repeats them."""
        torch.manual_seed(hash((self.seed, self.current_epoch)))

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Return the loss of one batch."""
        progress = self.global_step / max(1, int(self.trainer.estimated_stepping_batches))
        batch = mix(batch, mixup=self.config.mixup, cutmix=self.config.cutmix)
        losses = self.task(batch, progress)
        self.log_dict(
            {f"train_{name}": value.detach() for name, value in losses.items()},
            on_step=False,
            on_epoch=True,
            batch_size=len(batch.labels),
        )
        self.log("loss", losses["loss"].detach(), prog_bar=True, logger=False)
        return losses["loss"]

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Collect the logits of the validation split."""
        output = self.task.model(batch.images, batch.present)
        self.outputs.append((output.logits.float(), batch.labels))

    def on_validation_epoch_end(self) -> None:
        """Log the negative log-likelihood and balanced accuracy of the validation split."""
        logits, labels = (torch.cat(parts) for parts in zip(*self.outputs, strict=True))
        self.outputs.clear()
        correct = (logits.argmax(dim=1) == labels).double()
        recalls = torch.stack([correct[labels == c].mean() for c in labels.unique()])
        self.log("val_nll", nn.functional.cross_entropy(logits, labels), prog_bar=True)
        self.log("val_balanced_accuracy", recalls.mean().float())


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
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())


def run_trainer(
    *,
    folder: Path,
    task: Task,
    train: DataLoader[Any],
    val: DataLoader[Any],
    config: OptimConfig,
    seed: int,
    progress: bool,
) -> None:
    """Train to the last epoch, from the newest checkpoint if the run has one.

    Raises:
        RunError: training was stopped.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # advice about worker counts and logging intervals, and the checkpoint folder of a resume
        warnings.filterwarnings("ignore", module="lightning")
        trainer = pl.Trainer(
            max_epochs=config.epochs,
            precision=precision(config.precision),
            gradient_clip_val=config.gradient_clip_norm,
            callbacks=build_callbacks(folder, config, progress=progress),
            logger=False,
            num_sanity_val_steps=0,
            enable_progress_bar=progress,
            enable_model_summary=False,
            devices=1,
        )
        module = TrainingModule(task=task, config=config, seed=seed)
        checkpoint = find_checkpoint(folder)
        try:
            trainer.fit(module, train, val, ckpt_path=checkpoint, weights_only=True)
        except (KeyboardInterrupt, SystemExit) as stop:
            raise RunError(
                f"{folder}: stopped in epoch {trainer.current_epoch + 1} of {config.epochs};"
                " to continue, run the same command with --resume"
            ) from stop
    last, best = (folder / FOLDER / name for name in (LAST, BEST))
    if not last.is_file():  # stopped between the two, after the last epoch, which was the best
        with replacing(last) as path:
            shutil.copyfile(best, path)


def build_callbacks(folder: Path, config: OptimConfig, *, progress: bool) -> list[Callback]:
    """Build the callbacks: history, last and best checkpoint, and the optional ones."""
    callbacks: list[Callback] = [
        History(folder / "history.csv"),
        *(
            ModelCheckpoint(
                dirpath=folder / FOLDER,
                filename=name,
                monitor=monitor,
                mode="min",
                enable_version_counter=False,
            )
            # save_last would write the last checkpoint only after epochs that are the best so far
            for name, monitor in (("best", "val_nll"), ("last", None))
        ),
    ]
    if config.ema is not None:
        callbacks.append(EMAWeightAveraging(decay=config.ema))
    if config.patience is not None:
        callbacks.append(EarlyStopping(monitor="val_nll", patience=config.patience))
    if progress:
        callbacks.append(RichProgressBar())
    return callbacks


def precision(setting: str) -> Any:
    """Return Lightning's name of the precision.

    `auto` is bf16 only where the GPU computes it: PyTorch emulates it slowly on older ones.
    """
    if setting != "auto":
        return setting
    cuda = torch.cuda.is_available()
    bf16 = cuda and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16-mixed" if bf16 else "32-true"
