"""Lightning's side of a run: steps, history, checkpoints, resume."""

from __future__ import annotations

import csv
import io
import logging
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
from agfnet.files import write_text
from agfnet.training.adversarial import AdversarialTask
from agfnet.training.optim import build_optimizer, build_schedule
from agfnet.training.reconstruction import ReconstructionTask
from agfnet.training.supervised import SupervisedTask
from agfnet.types import Batch

Task = SupervisedTask | ReconstructionTask | AdversarialTask


class Learner(pl.LightningModule):
    """Lightning's view of a task."""

    def __init__(self, *, task: Task, config: OptimConfig, seed: int) -> None:
        super().__init__()
        self.task = task
        self.config = config
        self.seed = seed
        self.answers: list[tuple[Tensor, Tensor]] = []

    def configure_optimizers(self) -> Any:
        """AdamW with a schedule that moves every step."""
        optimizer = build_optimizer(self.task, self.config)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = build_schedule(optimizer, self.config, steps=steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_train_epoch_start(self) -> None:
        """Make an epoch's dropout and hiding depend on seed and epoch only, also after a resume."""
        torch.manual_seed(hash((self.seed, self.current_epoch)))

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """One step."""
        progress = self.global_step / max(1, int(self.trainer.estimated_stepping_batches))
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
        """Collect the answers on the validation split."""
        output = self.task.model(batch.images, batch.present)
        self.answers.append((output.logits.float(), batch.labels))

    def on_validation_epoch_end(self) -> None:
        """Negative log-likelihood and balanced accuracy on the validation split."""
        logits, labels = (torch.cat(parts) for parts in zip(*self.answers, strict=True))
        self.answers.clear()
        right = (logits.argmax(dim=1) == labels).double()
        recalls = torch.stack([right[labels == c].mean() for c in labels.unique()])
        self.log("val_nll", nn.functional.cross_entropy(logits, labels), prog_bar=True)
        self.log("val_balanced_accuracy", recalls.mean().float(), prog_bar=True)


class History(Callback):
    """Writes `history.csv`, one row per finished epoch; survives a resume."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []

    def state_dict(self) -> dict[str, Any]:
        """Rows so far, kept in the checkpoint."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Rows so far, from the checkpoint."""
        self.rows = state_dict["rows"]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add a row."""
        measured = {name: float(value) for name, value in trainer.callback_metrics.items()}
        measured.pop("loss", None)
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        self.rows.append({"epoch": trainer.current_epoch, "lr": rate, **measured})
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self.rows[-1]), lineterminator="\n")
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
    """Train to the end, from the last checkpoint if there is one.

    Raises:
        RunError: training was stopped.
    """
    checkpoints = folder / "checkpoints"
    callbacks: list[Callback] = [
        History(folder / "history.csv"),
        ModelCheckpoint(
            dirpath=checkpoints,
            filename="best",
            monitor="val_nll",
            save_last=True,
            enable_version_counter=False,
        ),
    ]
    if config.ema is not None:
        callbacks.append(EMAWeightAveraging(decay=config.ema))
    if config.patience is not None:
        callbacks.append(EarlyStopping(monitor="val_nll", patience=config.patience))
    if progress:
        callbacks.append(RichProgressBar())
    last = checkpoints / "last.ckpt"
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # advice about worker counts and logging intervals, and the checkpoint folder of a resume
        warnings.filterwarnings("ignore", module="lightning")
        trainer = pl.Trainer(
            max_epochs=config.epochs,
            precision=precision(config.precision),
            gradient_clip_val=config.gradient_clip_norm,
            callbacks=callbacks,
            logger=False,
            num_sanity_val_steps=0,
            enable_progress_bar=progress,
            enable_model_summary=False,
            devices=1,
        )
        learner = Learner(task=task, config=config, seed=seed)
        try:
            trainer.fit(
                learner, train, val, ckpt_path=last if last.is_file() else None, weights_only=True
            )
        except (KeyboardInterrupt, SystemExit) as stop:
            raise RunError(
                f"{folder}: stopped in epoch {trainer.current_epoch + 1} of {config.epochs};"
                " the same command with --resume goes on"
            ) from stop


def precision(setting: str) -> Any:
    """Lightning's name of the precision."""
    if setting != "auto":
        return setting
    bf16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return "bf16-mixed" if bf16 else "32-true"
