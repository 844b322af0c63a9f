"""Training with Lightning: steps, and continuing from a checkpoint."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.callbacks import Callback, EarlyStopping, WeightAveraging
from torch import Tensor, nn
from torch.utils.data import DataLoader

from agfnet.config import FitConfig, OptimConfig
from agfnet.errors import RunError
from agfnet.files import write_json
from agfnet.models.backbone import Backbone
from agfnet.training.batch_norm import synchronise
from agfnet.training.callbacks import Checkpoints, FiniteLoss, History, MovingAverage
from agfnet.training.checkpoints import CheckpointFiles, find_checkpoint
from agfnet.training.loggers import begin_logging, build_loggers
from agfnet.training.mixing import mix
from agfnet.training.optim import build_optimizer, build_schedule
from agfnet.training.processes import ALONE, World
from agfnet.training.progress import TrainingProgress
from agfnet.training.stopping import StopRequest
from agfnet.training.tasks import Task
from agfnet.types import Batch

UNREADABLE = "unreadable.json"
"""File of a run folder for images that could not be read in training."""


class TrainingModule(pl.LightningModule):
    """A task as a Lightning module."""

    def __init__(
        self,
        *,
        task: Task,
        config: OptimConfig,
        seed: int,
        world: World = ALONE,
        sharded: bool = False,
    ) -> None:
        super().__init__()
        self.world = world
        self.sharded = sharded
        self.task = task
        self.config = config
        self.seed = seed
        self.outputs: list[tuple[Tensor, ...]] = []  # positions, logits and labels of validation
        self.sums: dict[str, Tensor] = {}  # of the losses of the cases of this epoch so far
        self.loss = torch.zeros(())  # of the last batch, over all processes
        self.gradient_norm: Tensor | None = None
        self.recomputes = any(isinstance(m, Backbone) and m.recomputed for m in task.modules())
        self.statistics: list[Tensor] = []  # of batch normalisation, before the backward pass

    def configure_optimizers(self) -> Any:
        """Return AdamW with a schedule that changes the learning rate at every step."""
        optimizer = build_optimizer(self.task, self.config)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = build_schedule(optimizer, self.config, steps=steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Return the loss of one batch.

        Dropout, masking and mixing depend on seed, epoch, step and process alone, so that a
        training that is continued repeats them. The mean over processes is that over all cases.
        """
        torch.manual_seed(hash((self.seed, self.current_epoch, batch_index, self.world.rank)))
        progress = self.global_step / max(1, int(self.trainer.estimated_stepping_batches))
        batch = mix(batch, mixup=self.config.mixup, cutmix=self.config.cutmix)
        losses = self.task(batch, progress, self.world)
        if batch_index == 0:
            self.sums = {}
        count = len(batch.labels)
        sums = torch.stack([count * value.detach() for value in losses.values()])
        sums = self.world.sum(torch.cat([sums, sums.new_tensor([count])]))
        self.loss = sums[list(losses).index("loss")] / sums[-1]
        for name, value in zip((*losses, "cases"), sums, strict=True):
            self.sums[name] = self.sums.get(name, 0) + value
        self.log("loss", losses["loss"].detach(), prog_bar=True, logger=False)
        if self.world.size == 1:
            return losses["loss"]
        return losses["loss"] * (count * self.world.size / sums[-1])

    def on_before_backward(self, loss: Tensor) -> None:
        """Keep the running statistics if the backward pass computes maps again."""
        if self.recomputes:
            self.statistics = [buffer.clone() for buffer in self.task.buffers()]

    def on_after_backward(self) -> None:
        """Undo what maps that were computed again have added to the running statistics."""
        for buffer, value in zip(self.task.buffers(), self.statistics, strict=False):
            buffer.copy_(value)

    def configure_gradient_clipping(
        self,
        optimizer: Any,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradient norm, and keep it for `FiniteLoss`."""
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        assert gradient_clip_val is not None
        if self.sharded:
            from agfnet.training.sharding import clip_gradients

            self.gradient_norm = clip_gradients(parameters, gradient_clip_val)
            return
        self.gradient_norm = nn.utils.clip_grad_norm_(parameters, gradient_clip_val)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the sums of the losses of the epoch so far."""
        checkpoint["sums"] = self.sums

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the sums of the losses of the epoch so far."""
        self.sums = checkpoint.get("sums", {})

    def on_validation_epoch_start(self) -> None:
        """Take the running statistics of the first process, so that all have the same network."""
        self.world.share(self.task.buffers())

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Collect the logits of the validation split."""
        output = self.task.model(batch.images, batch.present)
        self.outputs.append((batch.index, output.logits.float(), batch.labels))

    def on_validation_epoch_end(self) -> None:
        """Log the losses of training, and loss and balanced accuracy of the validation split."""
        for name, total in self.sums.items():
            if name != "cases":
                self.log(f"train_{name}", total / self.sums["cases"])
        outputs = tuple(torch.cat(parts) for parts in zip(*self.outputs, strict=True))
        self.outputs.clear()
        logits, labels = self.world.cases(*outputs)
        correct = (logits.argmax(dim=1) == labels).double()
        recalls = torch.stack([correct[labels == c].mean() for c in labels.unique()])
        self.log("val_nll", nn.functional.cross_entropy(logits, labels), prog_bar=True)
        self.log("val_balanced_accuracy", recalls.mean().float())


def run_trainer(
    *,
    folder: Path,
    task: Task,
    train: DataLoader[Any],
    val: DataLoader[Any],
    config: OptimConfig,
    fit: FitConfig,
    seed: int,
    progress: bool,
    request: StopRequest,
    lesion_ids: Sequence[str] = (),
    world: World = ALONE,
) -> None:
    """Train to the last epoch, from the newest checkpoint if the run has one.

    Raises:
        RunError: training was stopped, or a loss is not finite.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    sharded = fit.shard_backbones and world.size > 1
    callbacks = build_callbacks(folder, config, progress=progress and world.first, sharded=sharded)
    callbacks += [
        FiniteLoss(folder, lesion_ids, world),
        Checkpoints(folder, fit, request, train, keep_best=config.keeps_best, world=world),
    ]
    loggers = build_loggers(folder, fit) if world.first else []
    with warnings.catch_warnings():
        # advice about worker counts and logging intervals, and the checkpoint folder of a resume
        warnings.filterwarnings("ignore", module="lightning")
        trainer = pl.Trainer(
            max_epochs=config.epochs,
            precision=precision(config.precision),
            gradient_clip_val=config.gradient_clip_norm,
            accumulate_grad_batches=getattr(train.batch_sampler, "parts", 1),
            callbacks=callbacks,
            plugins=[CheckpointFiles(), *environments(world)],
            strategy=strategy(world, sharded=sharded),
            use_distributed_sampler=False,  # `EvenBatches` has the part of this process
            logger=loggers or False,
            num_sanity_val_steps=0,
            enable_progress_bar=progress,
            enable_model_summary=False,
            devices=world.local_size,
            num_nodes=world.nodes,
        )
        begin_logging(folder, loggers)
        if world.size > 1 and fit.sync_batchnorm:
            synchronise(task)
        module = TrainingModule(task=task, config=config, seed=seed, world=world, sharded=sharded)
        checkpoint = world.on_first(lambda: find_checkpoint(folder))
        request.deferred = True
        try:
            trainer.fit(module, train, val, ckpt_path=checkpoint, weights_only=True)
        except (KeyboardInterrupt, SystemExit) as stop:
            raise RunError(
                f"{folder}: stopped in epoch {trainer.current_epoch + 1} of {config.epochs};"
                " to continue, run the same command with --resume"
            ) from stop
        finally:
            request.deferred = False
    if request.signal is not None:  # in the last epoch: what follows takes time as well
        raise request.error()
    if world.first and (unreadable := getattr(train, "unreadable", ())):
        write_json(folder / UNREADABLE, list(unreadable))
        logging.getLogger(__name__).warning(
            "%d images could not be read, and their cases were left out; %s lists them",
            len(unreadable),
            folder / UNREADABLE,
        )


def environments(world: World) -> list[Any]:
    """Return the plugin by which Lightning finds the other processes, if there are any."""
    return [] if world.size == 1 else [TorchElasticEnvironment()]


def strategy(world: World, *, sharded: bool) -> Any:
    """Return Lightning's strategy: one process, DDP, or DDP with sharded backbones."""
    if sharded:
        from agfnet.training.sharding import ShardedStrategy  # which some builds of torch lack

        return ShardedStrategy()
    return "auto" if world.size == 1 else "ddp"


def build_callbacks(
    folder: Path, config: OptimConfig, *, progress: bool, sharded: bool = False
) -> list[Callback]:
    """Build the callbacks: history, and the optional ones."""
    callbacks: list[Callback] = [History(folder / "history.csv")]
    if config.ema is not None:
        average: type[WeightAveraging] = MovingAverage
        if sharded:
            from agfnet.training.sharding import ShardedAverage

            average = ShardedAverage
        callbacks.append(average(decay=config.ema))
    if config.patience is not None:
        callbacks.append(EarlyStopping(monitor="val_nll", patience=config.patience))
    if progress:
        callbacks.append(TrainingProgress())
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
