"""Batch normalisation over the batch of all processes that train together."""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from timm.layers.norm_act import convert_sync_batchnorm
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from agfnet.models.backbone import Backbone


class Sum(torch.autograd.Function):
    """The sum of a tensor over all processes, and of its gradients."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        """Return the sum."""
        values = values.clone()
        distributed.all_reduce(values)
        return values

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        """Return the gradient of the sum of all losses."""
        gradient = gradient.clone()
        distributed.all_reduce(gradient)
        return gradient


def synchronise(module: nn.Module) -> None:
    """Let the batch normalisation in a module normalise over all processes in training.

    On GPUs, this is PyTorch's SyncBatchNorm, which does not work on CPUs.
    """
    for part in module.modules():
        if isinstance(part, Backbone):  # networks without batch normalisation may refuse no rows
            part.synchronised = any(isinstance(norm, _BatchNorm) for norm in part.modules())
    if torch.cuda.is_available():
        convert_sync_batchnorm(module)
        return
    for part in module.modules():
        if isinstance(part, _BatchNorm):
            part.forward = MethodType(forward, part)  # type: ignore[method-assign]


def forward(norm: _BatchNorm, x: Tensor) -> Tensor:
    """Do what `norm` does to a tensor (B, C, ...), with the statistics of all processes."""
    if not norm.training:
        return type(norm).forward(norm, x)
    axes = [axis for axis in range(x.ndim) if axis != 1]
    shape = [-1 if axis == 1 else 1 for axis in range(x.ndim)]
    count = x.new_tensor([x.numel() / x.shape[1]])
    distributed.all_reduce(count)
    count = count.clamp_min(1)
    mean = Sum.apply(x.sum(dim=axes)) / count
    centred = x - mean.view(shape)
    variance = Sum.apply(centred.square().sum(dim=axes)) / count
    if norm.running_mean is not None and norm.running_var is not None and count > 1:
        norm.num_batches_tracked.add_(1)  # type: ignore[union-attr]
        rate = norm.momentum if norm.momentum is not None else 1 / float(norm.num_batches_tracked)  # type: ignore[arg-type]
        norm.running_mean.lerp_(mean.detach(), rate)
        norm.running_var.lerp_((variance * count / (count - 1)).detach(), rate)
    y = centred * (variance + norm.eps).rsqrt().view(shape)
    if norm.affine:
        y = y * norm.weight.view(shape) + norm.bias.view(shape)
    for name in ("drop", "act"):  # of the layers of timm
        if hasattr(norm, name):
            y = getattr(norm, name)(y)
    return y
