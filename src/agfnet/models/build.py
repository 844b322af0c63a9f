"""Settings to network: the only place where a method's name becomes a class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import nn

from agfnet.config import FusionConfig, ModelConfig
from agfnet.models.agfnet import AGFNet
from agfnet.models.backbone import Backbone, normalisation
from agfnet.models.decoder import Decoder
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
    """One backbone per modality, or one in all if they share it."""
    backbone = config.backbone
    return [
        Backbone(
            name=backbone.name, scales=scales, weights=backbone.weights, options=backbone.options
        )
        for _ in range(1 if backbone.shared else modalities)
    ]


def build_agfnet(config: ModelConfig, modalities: int, classes: int) -> nn.Module:
    """AGFnet as the settings describe it."""
    fusion = config.fusion
    return AGFNet(
        backbones=build_backbones(config, modalities, fusion.scales),
        modalities=modalities,
        classes=classes,
        dim=fusion.dim,
        heads=fusion.heads,
        grid=fusion.grid,
        intra=fusion.intra,
        inter=fusion.inter,
        guided=fusion.guide,
        layers=fusion.layers,
        dropout=config.dropout,
        decoder=build_decoder(fusion, modalities) if fusion.rebuild_missing else None,
    )


def build_decoder(fusion: FusionConfig, modalities: int, *, across: bool = True) -> Decoder:
    """The decoder that fits the network's tokens."""
    return Decoder(
        modalities=modalities,
        dim=fusion.dim,
        heads=fusion.heads,
        grid=fusion.grid,
        scales=fusion.scales,
        across=across,
    )


def build_concatenation(config: ModelConfig, modalities: int, classes: int) -> nn.Module:
    """Concatenation as the settings describe it."""
    return Concatenation(
        backbones=build_backbones(config, modalities, scales=1),
        modalities=modalities,
        classes=classes,
        dropout=config.dropout,
    )


METHODS: dict[str, Callable[[ModelConfig, int, int], nn.Module]] = {
    "agfnet": build_agfnet,
    "concatenation": build_concatenation,
}
