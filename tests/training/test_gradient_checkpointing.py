from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from agfnet.config import (
    BackboneConfig,
    DataConfig,
    FitConfig,
    FusionConfig,
    ModalityConfig,
    ModelConfig,
    TrainConfig,
)
from agfnet.config.model import Method
from agfnet.errors import ConfigError
from agfnet.models.backbone import Backbone
from agfnet.training.tasks import Task, build_task
from agfnet.training.trainer import TrainingModule
from agfnet.types import Batch

SMALL = {"channels": [8, 16, 24, 32], "stem_width": 8}
VIT = {"embed_dim": 16, "depth": 3, "num_heads": 2, "img_size": 32, "patch_size": 8}


def task(method: Method, name: str, *, checkpointing: bool) -> Task:
    backbone = BackboneConfig(name=name, options=VIT if "vit" in name else SMALL)
    config = TrainConfig(
        data=DataConfig(
            cases="", modalities={"a": ModalityConfig(), "b": ModalityConfig()}, size=32
        ),
        model=ModelConfig(
            method=method, backbone=backbone, fusion=FusionConfig(dim=8, heads=2, grid=2, scales=2)
        ),
        fit=FitConfig(gradient_checkpointing=checkpointing),
    )
    torch.manual_seed(0)
    return build_task(config, [0, 1, 2], 3)


def step(trained: nn.Module) -> tuple[int, list[Tensor | None]]:
    """Return the bytes that are kept for the backward pass, and the gradients."""
    generator = torch.Generator().manual_seed(1)
    batch = Batch(
        images=tuple(torch.randn(4, 3, 32, 32, generator=generator) for _ in range(2)),
        present=torch.tensor([[True, True]] * 3 + [[True, False]]),
        labels=torch.tensor([0, 1, 2, 0]),
        index=torch.arange(4),
    )
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    torch.manual_seed(2)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = trained(batch, 0.5)["loss"]
    module = TrainingModule(task=trained, config=TrainConfig(DataConfig("")).optim, seed=0)  # type: ignore
    module.on_before_backward(loss)
    loss.backward()
    module.on_after_backward()
    return sum(kept.values()), [p.grad for p in trained.parameters()]


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("agfnet", "resnet10t"),
        ("mmtm", "resnet10t"),  # fuses between the stages
        ("concatenation", "vit_tiny_patch16_224"),
    ],
)
def test_gradients_and_statistics_are_the_same_with_less_memory(method: Method, name: str) -> None:
    plain, saving = (task(method, name, checkpointing=value) for value in (False, True))
    most, gradients = step(plain)
    less, again = step(saving)
    assert less < 0.8 * most
    for one, other in zip(gradients, again, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    for one, other in zip(plain.buffers(), saving.buffers(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_model_without_it_is_refused() -> None:
    backbone = Backbone(name="resnet10t", scales=2, weights=None, options=SMALL)
    backbone.net = nn.Identity()
    with pytest.raises(ConfigError, match="gradient_checkpointing"):
        backbone.recompute()
