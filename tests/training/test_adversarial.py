"""AMFAM's training: what the adversary and the reconstruction do, and what stays untouched."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from agfnet.config import (
    BackboneConfig,
    DataConfig,
    FusionConfig,
    ModalityConfig,
    ModelConfig,
    TrainConfig,
)
from agfnet.training.adversarial import (
    AdversarialTask,
    modality_loss,
    reversal_strength,
    reverse_gradient,
    weighted_distance,
)
from agfnet.training.tasks import build_task
from agfnet.types import Batch


def task(modalities: int = 2) -> AdversarialTask:
    torch.manual_seed(0)
    config = TrainConfig(
        data=DataConfig(
            cases="unused", modalities={f"view{m}": ModalityConfig() for m in range(modalities)}
        ),
        model=ModelConfig(
            method="amfam",
            backbone=BackboneConfig(
                name="resnet10t",
                options={"channels": [8, 16, 24, 32], "stem_width": 8, "zero_init_last": False},
            ),
            fusion=FusionConfig(dim=16, heads=2),
            dropout=0.0,
        ),
    )
    built = build_task(config, [0, 1, 2], 3)
    assert isinstance(built, AdversarialTask)
    return built


def batch(size: int = 4, modalities: int = 2) -> Batch:
    generator = torch.Generator().manual_seed(1)
    present = torch.ones(size, modalities, dtype=torch.bool)
    if size > 1:
        present[0, 1] = present[1, 0] = False
    return Batch(
        images=tuple(torch.randn(size, 3, 64, 64, generator=generator) for _ in range(modalities)),
        present=present,
        labels=torch.arange(size) % 3,
        index=torch.arange(size),
    )


@pytest.mark.parametrize("modalities", [2, 3])
@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("autocast", [False, True])
def test_every_parameter_learns(modalities: int, size: int, autocast: bool) -> None:
    learner = task(modalities).train()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        losses = learner(batch(size, modalities), 1.0)
    losses["loss"].backward()
    for name, parameter in learner.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_the_parts_of_training_are_no_part_of_the_network() -> None:
    learner = task()
    extra = set(learner.state_dict()) - {
        f"supervised.model.{name}" for name in learner.model.state_dict()
    }
    assert {name.split(".")[0] for name in extra} == {"discriminator", "decoders"}


def test_loss_is_the_weighted_sum() -> None:
    losses = task().eval()(batch(), 0.5)
    torch.testing.assert_close(
        losses["loss"],
        losses["cross_entropy"] + 0.1 * losses["adversarial"] + 0.1 * losses["reconstruction"],
    )


def test_reversed_gradient() -> None:
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = reverse_gradient(x, 0.5)
    torch.testing.assert_close(y, x)
    y.square().sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, -0.5 * 2 * x.detach())
    assert reversal_strength(0.0) == 0
    assert 0.99 < reversal_strength(1.0) < 1


def test_network_and_adversary_pull_in_opposite_directions() -> None:
    """One step of the network makes views harder to tell apart, one of the adversary easier."""
    learner, data = task().train(), batch()

    def align() -> torch.Tensor:
        return learner(data, 1.0)["adversarial"]

    before = align()
    before.backward()
    for part, harder in ((learner.model.project, True), (learner.discriminator, False)):
        for parameter in part.parameters():
            assert parameter.grad is not None
            parameter.data -= 0.01 * parameter.grad
        assert (align() > before) == harder
        for parameter in part.parameters():
            assert parameter.grad is not None
            parameter.data += 0.01 * parameter.grad


def test_adversary_is_asked_about_present_views() -> None:
    logits = torch.randn(3, 2, 2)
    present = torch.tensor([[True, True], [True, False], [False, True]])
    asked = [(0, 0), (0, 1), (1, 0), (2, 1)]
    expected = sum(-logits[b, m].log_softmax(dim=0)[m] for b, m in asked) / 4
    torch.testing.assert_close(modality_loss(logits, present), expected)
    assert modality_loss(torch.zeros(3, 2, 2), present) == pytest.approx(math.log(2))


def test_places_count_by_their_attention() -> None:
    image = torch.rand(2, 3, 8, 8)
    rebuilt = F.adaptive_avg_pool2d(image, (4, 4))
    attention = torch.full((2, 1, 2, 2), 0.25)
    attention[:, :, 0, 0] = 0.75
    assert weighted_distance(rebuilt, image, attention).abs().max() < 1e-6
    rebuilt[0, :, :2, :2] += 1  # where the attention is twice its mean of 0.375
    rebuilt[1, :, 2:, 2:] += 1  # where it is two thirds of it
    found = weighted_distance(rebuilt, image, attention)
    torch.testing.assert_close(found, torch.tensor([2 / 4, 2 / 3 / 4]))


def test_missing_views_are_not_looked_at() -> None:
    learner, data = task().eval(), batch()
    noise = Batch(
        images=tuple(
            torch.where(data.present[:, m, None, None, None], image, torch.randn_like(image))
            for m, image in enumerate(data.images)
        ),
        present=data.present,
        labels=data.labels,
        index=data.index,
    )
    before, after = learner(data, 1.0), learner(noise, 1.0)
    for name, value in before.items():
        torch.testing.assert_close(value, after[name])
