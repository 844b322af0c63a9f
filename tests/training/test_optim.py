"""Which parameters learn at which rate, which decay, and how the rate changes."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from agfnet.config import BackboneConfig, FusionConfig, LossConfig, ModelConfig, OptimConfig
from agfnet.models.build import build
from agfnet.training.optim import build_optimizer, build_schedule, stage
from agfnet.training.supervised import SupervisedTask

CONFIG = OptimConfig(lr=0.01, backbone_lr=0.1, weight_decay=0.05, warmup=0.1)


@pytest.fixture(scope="module")
def task() -> SupervisedTask:
    model = ModelConfig(
        backbone=BackboneConfig(
            name="resnet10t", options={"channels": [8, 16, 24, 32], "stem_width": 8}
        ),
        fusion=FusionConfig(dim=16, heads=2, grid=2),
    )
    return SupervisedTask(
        model=build(model, modalities=2, classes=3),
        config=LossConfig(),
        counts=torch.ones(3),
        modality_dropout=0.0,
    )


def settings_of(task: nn.Module, config: OptimConfig) -> dict[str, tuple[float, float]]:
    """Learning rate and weight decay by the name of the parameter."""
    groups = build_optimizer(task, config).param_groups
    by_id = {id(p): (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    return {name: by_id[id(p)] for name, p in task.named_parameters()}


def test_backbones_have_their_learning_rate(task: SupervisedTask) -> None:
    settings = settings_of(task, CONFIG)
    backbones = {name for name in settings if ".backbones." in name}
    assert 0 < len(backbones) < len(settings)
    for name, (rate, _) in settings.items():
        assert rate == pytest.approx(0.001 if name in backbones else 0.01), name


def test_early_stages_learn_slower_with_layer_decay(task: SupervisedTask) -> None:
    settings = settings_of(task, replace(CONFIG, layer_decay=0.5))
    net = "model.backbones.1.net."
    for name, factor in (("layer4.0.conv1", 1), ("layer3.0.conv1", 2), ("layer1.0.conv1", 8)):
        assert settings[f"{net}{name}.weight"][0] == pytest.approx(0.001 / factor), name
    assert settings[f"{net}conv1.0.weight"][0] == min(rate for rate, _ in settings.values())
    assert settings["model.global_learning.fuse.weight"][0] == pytest.approx(0.01)


def test_only_matrices_and_convolutions_decay(task: SupervisedTask) -> None:
    shapes = {name: p.ndim for name, p in task.named_parameters()}
    decays = {name for name, (_, decay) in settings_of(task, CONFIG).items() if decay}
    assert all(decay in (0, 0.05) for _, decay in settings_of(task, CONFIG).values())
    assert "model.head.2.weight" in decays
    assert "model.backbones.0.net.conv1.0.weight" in decays
    assert "model.global_learning.fuse.weight" in decays
    kept = {
        "model.head.2.bias",
        "model.head.0.weight",  # of a LayerNorm
        "model.local_learning.0.layer_scale_intra",
        "model.tokenizers.0.embed.position",
        "model.tokenizers.0.absent",
    }
    assert kept <= set(shapes)
    assert not kept & decays
    assert all(shapes[name] > 1 for name in decays)


def test_frozen_parameters_are_left_out(task: SupervisedTask) -> None:
    task.model.backbones.requires_grad_(False)
    groups = build_optimizer(task, CONFIG).param_groups
    task.model.backbones.requires_grad_(True)
    assert {group["lr"] for group in groups} == {CONFIG.lr}


def test_the_rate_rises_linearly_and_decays_as_a_cosine() -> None:
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = build_schedule(optimizer, CONFIG, steps=110)  # 11 of warm-up
    rates = []
    for _ in range(110):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert rates[:11] == pytest.approx([2.0 * (step + 1) / 11 for step in range(11)])
    expected = [1 + math.cos(math.pi * (step - 11) / 99) for step in range(11, 110)]
    assert rates[11:] == pytest.approx(expected)
    assert rates[-1] < 0.001 * max(rates)
    assert schedule.get_last_lr()[0] == pytest.approx(0, abs=1e-12)


def test_without_a_warm_up_the_first_step_has_the_full_rate() -> None:
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = build_schedule(optimizer, replace(CONFIG, warmup=0.0), steps=10)
    assert schedule.get_last_lr() == [2.0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("blocks.2.1.conv.weight", "blocks.2"),
        ("conv_stem.weight", "conv_stem"),
        ("stages_1.blocks.0.weight", "stages_1"),
        ("cls_token", "cls_token"),
    ],
)
def test_the_stage_of_a_parameter(name: str, expected: str) -> None:
    assert stage(f"model.backbones.0.net.{name}") == f"model.backbones.0.net.{expected}"
