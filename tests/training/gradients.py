"""One of two processes that compare their gradients with those of one; see test_processes.py."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from ramp import imageless
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from agfnet.config import (
    BackboneConfig,
    DataConfig,
    FitConfig,
    FusionConfig,
    ModelConfig,
    ReconstructionConfig,
    TrainConfig,
)
from agfnet.data.loader import loader
from agfnet.errors import ImageError, RunError
from agfnet.training.batch_norm import synchronise
from agfnet.training.callbacks import NONFINITE, Checkpoints, FiniteLoss, Step
from agfnet.training.processes import join
from agfnet.training.sharding import clip_gradients, gathered, leave_to_fsdp, shard
from agfnet.training.stopping import StopRequest
from agfnet.training.tasks import build_task
from agfnet.training.trainer import TrainingModule
from agfnet.types import Batch

CASES, CLASSES = 7, 3


SMALL = BackboneConfig(
    name="resnet10t", options={"channels": [8, 16, 24, 32], "stem_width": 8}, weights="random"
)
SHARED = replace(SMALL, shared=True)
BLOCKS = BackboneConfig(name="test_vit", options={"img_size": 32}, weights="random")
"""It does not run as a chain of modules."""


def part(batch: Batch, rank: int) -> Batch:
    """Every second case."""
    images = tuple(image[rank::2] for image in batch.images)
    rest = {name: getattr(batch, name)[rank::2] for name in ("present", "labels", "index")}
    return replace(batch, images=images, **rest)


def gradients(
    batch: Batch,
    method: str,
    backbone: BackboneConfig,
    *,
    processes: bool,
    sharded: bool = False,
    saving: bool = False,
) -> dict[str, Tensor]:
    """Gradients and running statistics after one step, in float64.

    Feature reconstruction masks nothing, since each process draws other random numbers.
    """
    torch.manual_seed(0)
    model = ModelConfig(
        method=method,
        backbone=backbone,
        fusion=FusionConfig(dim=16, heads=2, grid=2),
        dropout=0.0,
    )
    reconstruction = ReconstructionConfig(mask_ratio=0.0, modality_mask_prob=0.0)
    config = TrainConfig(
        data=DataConfig(cases="", size=32),
        model=model,
        reconstruction=reconstruction,
        fit=FitConfig(gradient_checkpointing=saving),
    )
    task = build_task(config, list(range(CLASSES)), CLASSES).double().train()
    module = TrainingModule(
        task=task, config=config.optim, seed=0, **({"world": world} if processes else {})
    )
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    module.__dict__["_trainer"] = type(
        "Trainer", (), {"estimated_stepping_batches": 1, "global_step": 1, "current_epoch": 0}
    )()
    network: nn.Module = StepNetwork(module)
    if processes:
        synchronise(task)
        if sharded:
            shard(task, world.size)
            leave_to_fsdp(network)
        network = DistributedDataParallel(network)
    loss = network(batch)
    module.on_before_backward(loss)
    loss.backward()
    module.on_after_backward()
    values = {name: p.grad for name, p in task.named_parameters() if p.grad is not None}
    norm = clip_gradients(list(task.parameters()), 0.1)
    assert any(isinstance(value, DTensor) for value in values.values()) == sharded
    whole = gathered(values, keep=True) | dict(task.named_buffers())
    return whole | {"norm": norm}


class StepNetwork(nn.Module):
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
TRIALS: list[tuple[str, BackboneConfig, dict[str, bool]]] = [
    ("concatenation", SMALL, {}),
    ("agfnet", SMALL, {}),
    ("amfam", SMALL, {}),
    ("agfnet", SMALL, {"sharded": True, "saving": True}),
    ("concatenation", SHARED, {"sharded": True}),
    ("mmtm", SMALL, {"sharded": True}),  # calls stages of the backbones
    ("agfnet", BLOCKS, {"sharded": True}),
]
for method, backbone, options in TRIALS:
    two = gradients(part(whole, world.rank), method, backbone, processes=True, **options)
    one = gradients(whole, method, backbone, processes=False)
    assert one.keys() == two.keys()
    for name, value in one.items():
        title = f"{method} {backbone.name} {options} {name}: "
        torch.testing.assert_close(
            two[name], value, rtol=1e-7, atol=1e-12, msg=lambda m, title=title: title + m
        )
index = whole.index[world.rank :: 2]
(labels,) = world.cases(index, whole.labels[index])
assert labels.equal(whole.labels)

# all processes stop at a loss that is not a number, and the first one lists the whole batch
folder = Path(sys.argv[1]) / str(world.rank)
folder.mkdir()
check = FiniteLoss(folder, [f"L{i}" for i in range(CASES)], world)
with pytest.raises(RunError):
    check.report(Step({}, index, epoch=1, step=1), "loss", math.nan)
assert (folder / NONFINITE).is_file() == world.first
if world.first:
    assert {*json.loads((folder / NONFINITE).read_text())["lesions"]} == {*check.lesion_ids}

# a checkpoint has the images that any process could not read, and their limit is for all
reader: Any = loader(imageless(4), batch_size=4, shuffle=False, workers=0, seed=0, max_unreadable=2)
reader.unreadable = (f"image {world.rank}",)
checkpoints = Checkpoints(folder, FitConfig(), StopRequest(), reader, world=world)
checkpoints.write(Mock())
assert {*reader.unreadable} == {"image 0", "image 1"}
reader.unreadable += (f"image {world.rank + 2}",)
with pytest.raises(ImageError, match="more than 2 unreadable images"):
    checkpoints.write(Mock())
