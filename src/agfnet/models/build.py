"""Settings to network: the only place where a method's name becomes a class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import nn

from agfnet.config import FusionConfig, ModelConfig
from agfnet.errors import ConfigError
from agfnet.models.agfnet import AGFNet
from agfnet.models.backbone import Backbone, normalisation
from agfnet.models.baselines.addition import Addition
from agfnet.models.baselines.amfam import Adversarial
from agfnet.models.baselines.concatenation import Concatenation
from agfnet.models.baselines.cross_attention import TokenCrossAttention
from agfnet.models.baselines.fusionm4net import FusionM4Net
from agfnet.models.baselines.hccnn import HyperBranch
from agfnet.models.baselines.late_fusion import LateFusion
from agfnet.models.baselines.low_rank import LowRank
from agfnet.models.baselines.metablock import MetaBlocks
from agfnet.models.baselines.mmtm import MMTM
from agfnet.models.baselines.tformer import TFormer
from agfnet.models.decoder import Decoder

Builder = Callable[[ModelConfig, int, int], nn.Module]


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
            name=backbone.name,
            scales=scales,
            weights=backbone.weights,
            options=backbone.options,
            frozen=backbone.frozen,
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
        resolution=fusion.resolution,
        intra=fusion.intra,
        inter=fusion.inter,
        guided=fusion.guide,
        layers=fusion.layers,
        exchange=fusion.exchange,
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


def peer(
    network: Callable[..., nn.Module], *settings: str, multiscale: bool = False, least: int = 1
) -> Builder:
    """How to build a peer of AGFnet.

    Args:
        network: the class; takes backbones, modalities, classes, dropout and the settings named.
        settings: names of settings of `model.fusion`.
        multiscale: it uses the last `fusion.scales` maps of the backbones, otherwise the last one.
        least: fewest modalities that it can fuse.
    """

    def build_peer(config: ModelConfig, modalities: int, classes: int) -> nn.Module:
        if modalities < least:
            raise ConfigError(
                f"model.method: {config.method} needs {least} modalities or more, but"
                f" data.modalities has {modalities}; for one take concatenation"
            )
        return network(
            backbones=build_backbones(
                config, modalities, config.fusion.scales if multiscale else 1
            ),
            modalities=modalities,
            classes=classes,
            dropout=config.dropout,
            **{name: getattr(config.fusion, name) for name in settings},
        )

    return build_peer


METHODS: dict[str, Builder] = {
    "agfnet": build_agfnet,
    "concatenation": peer(Concatenation),
    "late_fusion": peer(LateFusion),
    "sum": peer(Addition, "dim"),
    "low_rank": peer(LowRank, "dim"),
    "mmtm": peer(MMTM, multiscale=True),
    "metablock": peer(MetaBlocks, least=2),
    "fusionm4net": peer(FusionM4Net, "dim"),
    "tformer": peer(TFormer, "dim", "heads", "grid", multiscale=True),
    "cross_attention": peer(TokenCrossAttention, "dim", "heads", "grid", least=2),
    "hyper_branch": peer(HyperBranch, "dim", "heads", "grid", multiscale=True, least=2),
    "adversarial": peer(Adversarial, "dim", least=2),
}
