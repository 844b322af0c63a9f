"""One modality's image to feature maps, finest first: any timm model with `features_only`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError, safe_open
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.layers.format import Format
from torch import Tensor, nn

from agfnet.errors import ConfigError


class Backbone(nn.Module):
    """The last `scales` feature maps of a timm model.

    Args:
        name: a timm model name.
        scales: how many maps, counted from the coarsest.
        weights: None for random weights, `timm` for timm's published weights (a download), or the
            path of a `.safetensors` file with the full model's parameters in timm's names.
        options: further arguments for `timm.create_model`.

    Attributes:
        channels: C_s of each map, finest first.

    Raises:
        ConfigError: unknown model, too few maps, or weights that do not fit.
    """

    def __init__(
        self, *, name: str, scales: int, weights: str | None, options: Mapping[str, Any]
    ) -> None:
        super().__init__()
        if not timm.is_model(name):
            near = ", ".join(timm.list_models(f"*{name}*")[:5]) or "see timm.list_models()"
            raise ConfigError(f"model.backbone.name: timm has no model '{name}'; near: {near}")
        create = dict(options)
        if weights is not None:
            create["pretrained"] = True
            if weights != "timm":
                check_weights(Path(weights), name=name, options=options)
                logging.getLogger("timm.models._builder").setLevel(logging.ERROR)  # checked above
                create["pretrained_cfg_overlay"] = {"file": weights}
        try:
            net: Any = timm.create_model(
                name, features_only=True, out_indices=tuple(range(-scales, 0)), **create
            )
        except (RuntimeError, TypeError, IndexError, AssertionError) as error:
            raise ConfigError(
                f"model.backbone: timm cannot make {scales} feature maps of '{name}' with"
                f" {dict(options)}: {error}"
            ) from error
        # the faster layout for convolutions, on CPUs as on GPUs
        self.net: nn.Module = net.to(memory_format=torch.channels_last)
        self.channels: tuple[int, ...] = tuple(net.feature_info.channels())
        if len(self.channels) != scales:
            raise ConfigError(f"model.fusion.scales: '{name}' has no {scales} feature maps")
        self.channels_last = getattr(net, "output_fmt", Format.NCHW) == Format.NHWC

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Image (B, 3, H, W) to maps (B, C_s, H_s, W_s), finest first."""
        maps: list[Tensor] = self.net(image)
        if self.channels_last:
            maps = [feature.permute(0, 3, 1, 2) for feature in maps]
        return tuple(maps)


class Backbones(nn.ModuleList):
    """One backbone per modality, or one that all modalities share.

    Args:
        parts: M backbones, or one.
        modalities: number M of modalities.

    Attributes:
        channels: C_s of each map, finest first, per modality.
    """

    def __init__(self, parts: Sequence[Backbone], *, modalities: int) -> None:
        if len(parts) not in (1, modalities):
            raise ValueError(f"{len(parts)} backbones for {modalities} modalities")
        super().__init__(parts)
        self.channels = [parts[m % len(parts)].channels for m in range(modalities)]

    def forward(self, images: Sequence[Tensor], present: Tensor) -> list[tuple[Tensor, ...]]:
        """Images per modality (B, 3, H, W), present (B, M) to maps per modality."""
        return [
            run_present(self[m % len(self)], image, present[:, m]) for m, image in enumerate(images)
        ]


def run_present(backbone: nn.Module, image: Tensor, present: Tensor) -> tuple[Tensor, ...]:
    """Maps (B, C_s, H_s, W_s) of images (B, 3, H, W), where present (B,) is True.

    In training a missing view's blank image would enter the statistics of batch normalisation, so
    only images that are there pass the backbone, and the maps of the others are zero.
    """
    if not backbone.training:
        return backbone(image)
    rows = present.nonzero().squeeze(1)
    if len(rows) in (0, len(image)):
        return backbone(image)
    return tuple(
        feature.new_zeros(len(image), *feature.shape[1:]).index_copy(0, rows, feature)
        for feature in backbone(image[rows])
    )


def check_weights(path: Path, *, name: str, options: Mapping[str, Any]) -> None:
    """Refuse a weights file that would load only in part: timm itself would stay silent.

    Raises:
        ConfigError: not there, not safetensors (pickles are never opened), or names and shapes
            that are not those of the model.
    """
    where = f"model.backbone.weights: {path}"
    if path.suffix != ".safetensors":
        raise ConfigError(f"{where}: only .safetensors files are read")
    if not path.is_file():
        raise ConfigError(f"{where}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            found = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ConfigError(f"{where}: not a readable safetensors file: {error}") from error
    with torch.device("meta"):
        model: nn.Module = timm.create_model(name, **options)
    published = timm.get_pretrained_cfg(name)
    classifier = (published and published.classifier) or ()
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    wanted = {
        key: tuple(value.shape)
        for key, value in model.state_dict().items()
        if not key.startswith(heads) and not key.endswith("num_batches_tracked")
    }
    wrong = [key for key, shape in wanted.items() if found.get(key) != shape]
    if wrong:
        raise ConfigError(
            f"{where}: does not fit '{name}': {len(wrong)} of {len(wanted)} tensors are missing or"
            f" of another shape, first '{wrong[0]}'"
        )


def normalisation(
    name: str, mean: tuple[float, ...] | None, std: tuple[float, ...] | None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per RGB channel (0 to 1 scale) that a timm model expects."""
    published = timm.get_pretrained_cfg(name)
    if published is None:
        return mean or IMAGENET_DEFAULT_MEAN, std or IMAGENET_DEFAULT_STD
    return mean or tuple(published.mean), std or tuple(published.std)
