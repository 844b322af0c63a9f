"""Optimiser and learning-rate schedule."""

from __future__ import annotations

import math

from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from agfnet.config import OptimConfig


def build_optimizer(task: nn.Module, config: OptimConfig) -> AdamW:
    """Build AdamW over the task's parameters; the backbones have a separate learning rate.

    Only matrices and convolutions decay: biases, norms, LayerScale and embeddings do not.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in task.named_parameters():
        if parameter.requires_grad:
            decays = name.endswith(".weight") and parameter.ndim > 1
            groups.setdefault((".backbones." in name, decays), []).append(parameter)
    return AdamW(
        [
            {
                "params": parameters,
                "lr": config.lr * (config.backbone_lr if backbone else 1.0),
                "weight_decay": config.weight_decay if decays else 0.0,
            }
            for (backbone, decays), parameters in groups.items()
        ]
    )


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
