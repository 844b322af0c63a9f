"""Pretrained weights of timm models: the check of a local file, and the expected normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError, safe_open
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import nn

from agfnet.errors import ConfigError


def check_weights(path: Path, *, name: str, options: Mapping[str, Any]) -> None:
    """Check that a weights file fits a model; timm itself loads it in part without a warning.

    Raises:
        ConfigError: the file does not exist, is not safetensors (pickles are never opened), or its
            names and shapes are not those of the model.
    """
    where = f"model.backbone.weights: {path}"
    if path.suffix != ".safetensors":
        raise ConfigError(f"{where}: only .safetensors files are read")
    if not path.is_file():
        raise ConfigError(f"{where}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ConfigError(f"{where}: not a readable safetensors file: {error}") from error
    with torch.device("meta"):
        model: nn.Module = timm.create_model(name, **options)
    published = timm.get_pretrained_cfg(name)
    classifier = (published and published.classifier) or ()
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    expected = {
        key: tuple(value.shape)
        for key, value in model.state_dict().items()
        if not key.startswith(heads) and not key.endswith("num_batches_tracked")
    }
    wrong = [key for key, shape in expected.items() if shapes.get(key) != shape]
    if wrong:
        raise ConfigError(
            f"{where}: does not fit '{name}': {len(wrong)} of {len(expected)} tensors are missing"
            f" or of another shape, first '{wrong[0]}'"
        )


def normalisation(
    name: str, mean: tuple[float, ...] | None, std: tuple[float, ...] | None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and standard deviation per RGB channel, 0 to 1, that a timm model expects."""
    published = timm.get_pretrained_cfg(name)
    if published is None:
        return mean or IMAGENET_DEFAULT_MEAN, std or IMAGENET_DEFAULT_STD
    return mean or tuple(published.mean), std or tuple(published.std)
