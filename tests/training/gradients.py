"""One of two processes that compare their gradients with those of one; see test_processes.py."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from agfnet.config import BackboneConfig, DataConfig, FusionConfig, ModelConfig, TrainConfig
from agfnet.training.batch_norm import synchronise
from agfnet.training.processes import join
from agfnet.training.tasks import build_task
from agfnet.training.trainer import TrainingModule
from agfnet.types import Batch

CASES, CLASSES = 7, 3


def part(batch: Batch, rank: int) -> Batch:
    """Every second case."""
    images = tuple(image[rank::2] for image in batch.images)
    rest = {name: getattr(batch, name)[rank::2] for name in ("present", "labels", "index")}
    return replace(batch, images=images, **rest)


def gradients(batch: Batch, *, processes: bool) -> dict[str, Tensor]:
    """Gradients and running statistics after one step, in float64."""
    torch.manual_seed(0)
    backbone = BackboneConfig(
        name="resnet10t", options={"channels": [8, 16, 24, 32], "stem_width": 8}, weights="random"
    )
    model = ModelConfig(
        method="concatenation", backbone=backbone, fusion=FusionConfig(), dropout=0.0
    )
    config = TrainConfig(data=DataConfig(cases="", size=32), model=model)
    task = build_task(config, list(range(CLASSES)), CLASSES).double().train()
    module = TrainingModule(
        task=task, config=config.optim, seed=0, **({"world": world} if processes else {})
    )
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    module.__dict__["_trainer"] = type(
        "Trainer", (), {"estimated_stepping_batches": 1, "global_step": 0, "current_epoch": 0}
    )()
    network: nn.Module = Step(module)
    if processes:
        synchronise(task)
        network = DistributedDataParallel(network)
    network(batch).backward()
    values = {name: p.grad for name, p in task.named_parameters() if p.grad is not None}
    return values | dict(task.named_buffers())


class Step(nn.Module):
    """A training step as a network."""

    def __init__(self, module: TrainingModule) -> None:
        super().__init__()
        self.module = module

    def forward(self, batch: Batch) -> Tensor:
        return self.module.training_step(batch, 0)


world = join()
torch.manual_seed(1)
present = torch.ones(CASES, 2, dtype=torch.bool)
present[1::2, 1] = False  # the second process has no image of the second modality
whole = Batch(
    images=tuple(torch.randn(CASES, 3, 32, 32, dtype=torch.float64) for _ in range(2)),
    present=present,
    labels=torch.arange(CASES) % CLASSES,
    index=torch.arange(CASES),
)
two = gradients(part(whole, world.rank), processes=True)
for name, value in gradients(whole, processes=False).items():
    torch.testing.assert_close(two[name], value, rtol=1e-9, atol=1e-12, msg=lambda m, n=name: n + m)
index = whole.index[world.rank :: 2]
(labels,) = world.cases(index, whole.labels[index])
assert labels.equal(whole.labels)
