"""From settings to a network: the only place where the name of a method becomes a class."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import nn

from agfnet.config import FusionConfig, ModelConfig
from agfnet.errors import ConfigError
from agfnet.models.agfnet import AGFNet
from agfnet.models.backbone import Backbone, Backbones
from agfnet.models.baselines.addition import Addition
from agfnet.models.baselines.amfam import AMFAM
from agfnet.models.baselines.concatenation import Concatenation
from agfnet.models.baselines.cross_attention import TokenCrossAttention
from agfnet.models.baselines.fusionm4net import FusionM4Net
from agfnet.models.baselines.hccnn import HcCNN
from agfnet.models.baselines.late_fusion import LateFusion
from agfnet.models.baselines.low_rank import LowRank
from agfnet.models.baselines.metablock import MetaBlocks
from agfnet.models.baselines.mmtm import MMTM
from agfnet.models.baselines.tformer import TFormer
from agfnet.models.decoder import Decoder
from agfnet.models.ensemble import Ensemble
from agfnet.models.global_learning import GlobalLearning
from agfnet.models.heads import Head
from agfnet.models.local_learning import LocalLayer, LocalLearning
from agfnet.models.maps import backbone_digest
from agfnet.models.multi_scale import CoarsestScale, MultiScale
from agfnet.models.network import Network
from agfnet.models.pretrained import normalisation
from agfnet.models.tokenizer import Tokenizer

Builder = Callable[[ModelConfig, int, int], Network]

# names of parameters in agfnet 0.1, and their names now; backbones keep timm's names
OLD_KEYS = {
    r"(?<![a-z_])tokens\.": "tokenizers.",
    r"(?<![a-z_])gain(?![a-z])": "layer_scale",
    r"(?<![a-z])read(?![a-z])": "attention",
    r"(?<![a-z_])asking\.": "layers.",
}


def build(config: ModelConfig, *, modalities: int, classes: int) -> Network:
    """Build a network that takes `(images, present)` and returns `Output`.

    Baselines also load state dicts with the parameter names of agfnet 0.1.

    Args:
        config: the settings of the network.
        modalities: number M of image inputs.
        classes: number C of classes.

    Raises:
        ConfigError: the settings do not fit together.
    """
    network = METHODS[config.method](config, modalities, classes)
    network.register_load_state_dict_pre_hook(rename_old_keys)
    return network


def build_ensemble(config: ModelConfig, *, members: int, modalities: int, classes: int) -> Ensemble:
    """Build an ensemble of networks with the same settings; the arguments are those of `build`."""
    networks = [build(config, modalities=modalities, classes=classes) for _ in range(members)]
    return Ensemble(members=networks, classes=classes)


def rename_old_keys(module: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    """Give the parameters of an old state dict their present names, in place."""
    for key in list(state):
        name = key.removeprefix(prefix)
        if key.startswith(prefix) and not name.startswith("backbones."):
            for old, new in OLD_KEYS.items():
                name = re.sub(old, new, name)
            state[prefix + name] = state.pop(key)


def without_weights(config: ModelConfig) -> ModelConfig:
    """Return the settings with random starting weights: those of a bundle replace them."""
    return replace(config, backbone=replace(config.backbone, weights=None))


def image_statistics(config: ModelConfig) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and standard deviation per RGB channel, 0 to 1, that the backbones expect."""
    return normalisation(config.backbone.name, config.backbone.mean, config.backbone.std)


def build_backbones(config: ModelConfig, modalities: int, scales: int) -> Backbones:
    """Build one backbone per modality, or one for all if they share it."""
    backbone = config.backbone
    return Backbones(
        [
            Backbone(
                name=backbone.name,
                scales=scales,
                weights=backbone.weights,
                options=backbone.options,
                frozen=backbone.frozen,
            )
            for _ in range(1 if backbone.shared else modalities)
        ],
        modalities=modalities,
    )


def backbone_digests(config: ModelConfig, backbones: Backbones) -> list[bytes]:
    """Return a digest, per modality, of all that decides the maps of its images.

    It is the same for all methods, also for those whose backbones return the last map only.
    """
    return [
        backbone_digest(config.backbone, backbones.part(m), config.fusion.scales)
        for m in range(backbones.modalities)
    ]


def build_agfnet(config: ModelConfig, modalities: int, classes: int) -> AGFNet:
    """Build AGFnet. The order of construction decides which random weights a seed gives."""
    fusion = config.fusion
    dim, heads = fusion.dim, fusion.heads
    backbones = build_backbones(config, modalities, fusion.scales)
    decoder = build_decoder(fusion, modalities) if fusion.reconstruct_missing else None
    inter = fusion.inter and modalities > 1
    tokenizers = [
        Tokenizer(
            channels=channels,
            dim=dim,
            grid=fusion.grid,
            guided=fusion.guide and (fusion.intra or inter),  # nothing else reads the guide
            convolution=fusion.convolution,
            residual=fusion.residual,
            max_size=fusion.resolution,
        )
        for channels in backbones.channels
    ]
    local_learning = LocalLearning(
        [
            LocalLayer(dim=dim, heads=heads, intra=fusion.intra, inter=inter)
            for _ in range(modalities)
        ],
        grid=fusion.grid,
    )
    multi_scale: MultiScale | CoarsestScale = (
        MultiScale(modalities=modalities, dim=dim, scales=fusion.scales, residual=fusion.residual)
        if fusion.multi_scale
        else CoarsestScale()
    )
    channels = [scales[-1] for scales in backbones.channels]
    global_learning = GlobalLearning(
        channels=channels, dim=dim, correlation=fusion.correlation, enhance=fusion.enhance
    )
    return AGFNet(
        backbones=backbones,
        tokenizers=tokenizers,
        local_learning=local_learning,
        multi_scale=multi_scale,
        global_learning=global_learning,
        heads=[
            Head(dim=width, classes=classes, dropout=config.dropout) for width in (*channels, dim)
        ],
        average=fusion.average,
        decoder=decoder,
    )


def build_decoder(fusion: FusionConfig, modalities: int, *, cross_modality: bool = True) -> Decoder:
    """Build the decoder that fits the network's tokens."""
    return Decoder(
        modalities=modalities,
        dim=fusion.dim,
        heads=fusion.heads,
        grid=fusion.grid,
        scales=fusion.scales,
        cross_modality=cross_modality,
    )


def baseline(
    network: Callable[..., Network],
    *settings: str,
    multiscale: bool = False,
    min_modalities: int = 1,
) -> Builder:
    """Return a function that builds a baseline.

    Args:
        network: the class; takes backbones, classes, dropout and the named settings.
        settings: names of settings of `model.fusion`.
        multiscale: it uses the last `fusion.scales` maps of the backbones, otherwise the last one.
        min_modalities: smallest number of modalities that it can fuse.
    """

    def build_baseline(config: ModelConfig, modalities: int, classes: int) -> Network:
        if modalities < min_modalities:
            raise ConfigError(
                f"model.method: {config.method} needs at least {min_modalities} modalities, but"
                f" data.modalities has {modalities}; for a single modality use concatenation"
            )
        return network(
            backbones=build_backbones(
                config, modalities, config.fusion.scales if multiscale else 1
            ),
            classes=classes,
            dropout=config.dropout,
            **{name: getattr(config.fusion, name) for name in settings},
        )

    return build_baseline


METHODS: dict[str, Builder] = {
    "agfnet": build_agfnet,
    "concatenation": baseline(Concatenation),
    "concatenation_hidden": baseline(Concatenation, "dim"),
    "late_fusion": baseline(LateFusion),
    "addition": baseline(Addition, "dim"),
    "low_rank": baseline(LowRank, "dim"),
    "mmtm": baseline(MMTM, multiscale=True),
    "metablock": baseline(MetaBlocks, min_modalities=2),
    "fusionm4net": baseline(FusionM4Net, "dim"),
    "tformer": baseline(TFormer, "dim", "heads", "grid", multiscale=True),
    "cross_attention": baseline(TokenCrossAttention, "dim", "heads", "grid", min_modalities=2),
    "hccnn": baseline(HcCNN, "dim", "heads", "grid", multiscale=True, min_modalities=2),
    "amfam": baseline(AMFAM, "dim", min_modalities=2),
}
