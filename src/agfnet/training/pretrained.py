"""Backbones that start from those of earlier runs, each from the run of its modality."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors.torch import load_file

from agfnet.bundle import WEIGHTS, Bundle, read_bundle
from agfnet.config import BackboneConfig, ModalityConfig
from agfnet.errors import ConfigError
from agfnet.models.backbone import Backbones


def pretrained_runs(config: BackboneConfig) -> list[str]:
    """Return the run folders or bundles that `weights` names; none for files and `timm`."""
    names = (config.weights or "").split("|")
    first = Path(names[0])
    is_file = bool(first.suffix) and not first.is_dir()
    return [] if names[0] in ("", "random", "timm") or is_file else names


def load_backbones(
    backbones: Backbones, config: BackboneConfig, modalities: Mapping[str, ModalityConfig]
) -> None:
    """Load the weights of backbones from earlier runs.

    A modality takes the backbone of the run that has a modality of its name, or else of its type.
    One without such a run keeps random weights, which is logged.

    Args:
        backbones: one for each modality, or one for all.
        config: settings of the backbones; `weights` names the runs.
        modalities: of the new network, in its order.

    Raises:
        BundleError: a run has no valid bundle.
        ConfigError: a run has another backbone, or no modality fits any run.
    """
    bundles = [read_bundle(Path(name)) for name in pretrained_runs(config)]
    for bundle in bundles:
        _check(bundle, config)
    loaded = 0
    for number, (name, modality) in enumerate(modalities.items()):
        source = _source(bundles, name, modality)
        if source is None:
            logging.getLogger(__name__).warning(
                "model.backbone.weights: no run has a modality like %s; it starts from random "
                "weights",
                name,
            )
            continue
        bundle, index = source
        index = 0 if bundle.config.model.backbone.shared else index
        prefix = f"backbones.{index}."
        weights = load_file(bundle.folder / WEIGHTS)
        part = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        backbones.part(number).load_state_dict(part)
        loaded += 1
        if len(backbones) == 1:
            break
    if not loaded:
        raise ConfigError(
            f"model.backbone.weights: no modality of {config.weights} has the name or the type of "
            f"{', '.join(modalities)}"
        )


def _check(bundle: Bundle, config: BackboneConfig) -> None:
    earlier = bundle.config.model.backbone
    where = f"model.backbone.weights: {bundle.folder}"
    if (earlier.name, earlier.options) != (config.name, config.options):
        raise ConfigError(
            f"{where}: has the backbone {earlier.name} with the options {earlier.options}; set "
            "model.backbone.name and options to the same, or choose another run"
        )


def _source(
    bundles: Sequence[Bundle], name: str, modality: ModalityConfig
) -> tuple[Bundle, int] | None:
    """Return the run for a modality, and the number of its backbone."""
    for bundle in bundles:
        if name in bundle.config.modalities:
            return bundle, list(bundle.config.modalities).index(name)
    for bundle in bundles:
        for index, earlier in enumerate(bundle.config.modalities.values()):
            if earlier.modality_type == modality.modality_type:
                return bundle, index
    return None
