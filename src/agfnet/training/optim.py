"""Optimiser and learning-rate schedule."""

from __future__ import annotations

import math

from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from agfnet.config import OptimConfig

BACKBONES = ".backbones."


def build_optimizer(task: nn.Module, config: OptimConfig) -> AdamW:
    """Build AdamW over the task's parameters; the backbones have a separate learning rate.

    Only matrices and convolutions decay: biases, norms, LayerScale and embeddings do not.
    """
    depths = stage_depths(task)
    groups: dict[tuple[bool, float, bool], list[nn.Parameter]] = {}
    for name, parameter in task.named_parameters():
        if parameter.requires_grad:
            decays = name.endswith(".weight") and parameter.ndim > 1
            rate, backbone = 1.0, BACKBONES in name
            if backbone:
                rate = config.backbone_lr * config.layer_decay ** depths[stage(name)]
            groups.setdefault((backbone, rate, decays), []).append(parameter)
    return AdamW(
        [
            {
                "params": parameters,
                "lr": config.lr * rate,
                "weight_decay": config.weight_decay if decays else 0.0,
            }
            for (_, rate, decays), parameters in groups.items()
        ],
        # one kernel for all parameters, a quarter of the time on a CPU; it would take over the
        # unscaling of float16, which clipping must come after
        fused=config.precision != "16-mixed",
    )


def stage(name: str) -> str:
    """Return a parameter's stage in its backbone: its name up to the first number or module.

    `...backbones.0.net.blocks.2.1.conv.weight` is in stage `...backbones.0.net.blocks.2`.
    """
    before, _, inside = name.partition(BACKBONES)
    index, net, *path = inside.split(".")
    parts = path[:2] if len(path) > 1 and path[1].isdigit() else path[:1]
    return ".".join([before + BACKBONES + index, net, *parts])


def stage_depths(task: nn.Module) -> dict[str, int]:
    """Return, for each stage of each backbone, how many stages come after it."""
    backbones: dict[str, list[str]] = {}
    for name, _ in task.named_parameters():
        if BACKBONES in name:
            key = stage(name)
            stages = backbones.setdefault(key.partition(".net.")[0], [])
            if key not in stages:
                stages.append(key)
    return {
        key: len(stages) - 1 - i for stages in backbones.values() for i, key in enumerate(stages)
    }


def build_schedule(optimizer: AdamW, config: OptimConfig, *, steps: int) -> LambdaLR:
    """Build a schedule: linear warm-up, then cosine decay to zero.

    Args:
        optimizer: its learning rates are multiplied by the factor of the schedule.
        config: `warmup` is the fraction of the steps with a rising learning rate.
        steps: number of all steps.
    """
    warmup = max(1, round(config.warmup * steps))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

    return LambdaLR(optimizer, factor)
