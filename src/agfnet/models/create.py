"""A network by name, for a training loop outside of this package."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from typing import Any

from agfnet.config import BackboneConfig, FusionConfig, Method, ModelConfig
from agfnet.errors import ConfigError
from agfnet.models.build import METHODS, build
from agfnet.models.network import Network


def create_model(
    method: Method = "agfnet",
    *,
    classes: int,
    modalities: int | Sequence[str] = 2,
    backbone: str | BackboneConfig = "resnet50",
    pretrained: bool = False,
    dropout: float = 0.1,
    **fusion: Any,
) -> Network:
    """Create a network, as `timm.create_model` does.

    Its input is a list of images per modality (B, 3, H, W), normalised as
    `agfnet.models.build.image_statistics` states, and `present` (B, M), which is False where an
    image is missing. Its output has `logits` (B, C) and `auxiliary`, the logits of each modality.

    Args:
        method: `agfnet`, or a baseline of docs/baselines.md.
        classes: Number C of classes.
        modalities: Number M of modalities, or their names in order.
        backbone: Name of a timm model that returns feature maps, or its settings.
        pretrained: Start from the published weights of timm (a download).
        dropout: Dropout before every classification head.
        **fusion: Settings of `FusionConfig`, as in `dim=64, grid=7`.

    Raises:
        ConfigError: The settings do not fit together, or there is no such backbone.

    Examples:
        >>> import agfnet, torch
        >>> model = agfnet.create_model(
        ...     "agfnet", backbone="resnet10t", modalities=("clinical", "ultrasound"), classes=7
        ... )
        >>> images = [torch.zeros(2, 3, 64, 64), torch.zeros(2, 3, 64, 64)]
        >>> present = torch.tensor([[True, True], [True, False]])
        >>> model(images, present).logits.shape
        torch.Size([2, 7])
    """
    if isinstance(backbone, str):
        backbone = BackboneConfig(name=backbone, weights="timm" if pretrained else None)
    check_names("method", [method], METHODS)
    check_names("setting", fusion, [field.name for field in fields(FusionConfig)])
    if isinstance(modalities, str):
        raise ConfigError(f"modalities: {modalities!r}; expected a number, or a tuple of names")
    config = ModelConfig(
        method=method, backbone=backbone, fusion=FusionConfig(**fusion), dropout=dropout
    )
    count = modalities if isinstance(modalities, int) else len(modalities)
    if count < 1:
        raise ConfigError(f"modalities: {modalities!r}; expected one or more")
    return build(config, modalities=count, classes=classes)


def check_names(what: str, names: Iterable[str], known: Collection[str]) -> None:
    """Raise ConfigError for the first name that is unknown."""
    for name in names:
        if name not in known:
            raise ConfigError(f"no {what} {name!r}; there are {', '.join(known)}")
