"""Settings to network: the only place where a method's name becomes a class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import nn

from agfnet.config import ModelConfig
from agfnet.models.agfnet import AGFNet
from agfnet.models.backbone import Backbone, normalisation
from agfnet.models.peers.concatenation import Concatenation


def build(config: ModelConfig, *, modalities: int, classes: int) -> nn.Module:
    """A network that takes `(images, present)` and returns `Output`.

    Args:
        config: the settings of the network.
        modalities: number M of image inputs.
        classes: number C of classes.

    Raises:
        ConfigError: settings that do not fit together.
    """
    return METHODS[config.method](config, modalities, classes)


def untrained(config: ModelConfig) -> ModelConfig:
    """The same network without its starting weights, which a bundle replaces anyhow."""
    return replace(config, backbone=replace(config.backbone, weights=None))


def image_statistics(config: ModelConfig) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per RGB channel (0 to 1 scale) that the backbones expect."""
    return normalisation(config.backbone.name, config.backbone.mean, config.backbone.std)


def build_backbones(config: ModelConfig, modalities: int, scales: int) -> list[Backbone]:
    """One unshared backbone per modality."""
    backbone = config.backbone
    return [
        Backbone(
            name=backbone.name, scales=scales, weights=backbone.weights, options=backbone.options
        )
        for _ in range(modalities)
    ]


def build_agfnet(config: ModelConfig, modalities: int, classes: int) -> nn.Module:
    """AGFnet as the settings describe it."""
    fusion = config.fusion
    return AGFNet(
        backbones=build_backbones(config, modalities, fusion.scales),
        dim=fusion.dim,
        heads=fusion.heads,
        grid=fusion.grid,
        layers=fusion.layers,
        classes=classes,
        dropout=config.dropout,
    )


def build_concatenation(config: ModelConfig, modalities: int, classes: int) -> nn.Module:
    """Concatenation as the settings describe it."""
    return Concatenation(
        backbones=build_backbones(config, modalities, scales=1),
        classes=classes,
        dropout=config.dropout,
    )


METHODS: dict[str, Callable[[ModelConfig, int, int], nn.Module]] = {
    "agfnet": build_agfnet,
    "concatenation": build_concatenation,
}
