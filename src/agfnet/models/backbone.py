"""One modality's image to feature maps, finest first: any timm model with `features_only`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import timm
import torch
from safetensors import SafetensorError, safe_open
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.layers.format import Format
from timm.models import FeatureDictNet
from timm.models.efficientnet import EfficientNetFeatures
from timm.models.mobilenetv3 import MobileNetV3Features
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
        frozen: nothing in it is trained, the statistics of batch normalisation neither.

    Attributes:
        channels: C_s of each map, finest first.

    Raises:
        ConfigError: unknown model, too few maps, or weights that do not fit.
    """

    def __init__(
        self,
        *,
        name: str,
        scales: int,
        weights: str | None,
        options: Mapping[str, Any],
        frozen: bool = False,
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
        self.frozen = frozen
        if frozen:
            self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Backbone:
        """A frozen backbone stays in evaluation."""
        return super().train(mode and not self.frozen)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Image (B, 3, H, W) to maps (B, C_s, H_s, W_s), finest first."""
        maps: list[Tensor] = self.net(image)
        if self.channels_last:
            maps = [feature.permute(0, 3, 1, 2) for feature in maps]
        return tuple(maps)

    def stages(self) -> list[Callable[[Tensor], tuple[Tensor, ...]]]:
        """The network in pieces: image to the first map, and each map to the next.

        Each takes and gives one map (B, C_s, H_s, W_s), in a tuple. One piece, from the image to
        the last map, if timm runs the network other than as a chain of modules. A piece raises
        ConfigError if it finds more than one map to hand on.
        """
        parts = cut(self.net)
        if not parts:
            return [lambda image: self(image)[-1:]]
        return [partial(self.run_part, part, first=s == 0) for s, part in enumerate(parts)]

    def run_part(
        self, part: Sequence[nn.Module], feature: Tensor, *, first: bool
    ) -> tuple[Tensor, ...]:
        """One map through some modules of the network; `first` if it is the image."""
        if self.channels_last and not first:
            feature = feature.permute(0, 2, 3, 1)
        for module in part:
            feature = module(feature)
        if not isinstance(feature, Tensor):
            raise ConfigError(
                "model.backbone.name: this timm model hands several maps from stage to stage, so"
                " views cannot exchange between its stages; choose another, for example resnet50"
            )
        return (feature.permute(0, 3, 1, 2) if self.channels_last else feature,)


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
            run_present(self.part(m), image, present[:, m], training=self.part(m).training)
            for m, image in enumerate(images)
        ]

    def part(self, m: int) -> Backbone:
        """The backbone of modality m."""
        return cast(Backbone, self[m % len(self)])

    def pooled(self, images: Sequence[Tensor], present: Tensor) -> list[Tensor]:
        """Global average (B, C) of the last map per modality, zeros where the view is missing."""
        return pool([maps[-1] for maps in self(images, present)], present)

    def stage_channels(self) -> list[tuple[int, ...]]:
        """Channels of each view's map after each stage of `in_step`."""
        stages = len(self.part(0).stages())
        return list(zip(*(channels[-stages:] for channels in self.channels), strict=True))

    def in_step(
        self,
        images: Sequence[Tensor],
        present: Tensor,
        exchange: Callable[[int, list[Tensor]], list[Tensor]],
    ) -> list[Tensor]:
        """The last map per modality, where the views exchange what they found after each stage.

        Args:
            images: per modality (B, 3, H, W).
            present: (B, M).
            exchange: takes the number of the stage and the maps (B, C_s, H_s, W_s) per modality;
                the maps that it returns enter the next stage.
        """
        stages = zip(*(self.part(m).stages() for m in range(len(images))), strict=True)
        maps = list(images)
        for s, runs in enumerate(stages):
            found = [
                run_present(run, maps[m], present[:, m], training=self.part(m).training)
                for m, run in enumerate(runs)
            ]
            maps = exchange(s, [feature for (feature,) in found])
        return maps


def pool(maps: Sequence[Tensor], present: Tensor) -> list[Tensor]:
    """Global average (B, C) of each modality's map (B, C, H, W), zeros where it is missing."""
    return [feature.mean(dim=(2, 3)) * present[:, m, None] for m, feature in enumerate(maps)]


def run_present(
    run: Callable[[Tensor], tuple[Tensor, ...]], image: Tensor, present: Tensor, *, training: bool
) -> tuple[Tensor, ...]:
    """What a backbone makes of images (B, 3, H, W), where present (B,) is True.

    In training a missing view's blank image would enter the statistics of batch normalisation, so
    only images that are there pass the backbone, and the maps of the others are zero.
    """
    if not training:
        return run(image)
    rows = present.nonzero().squeeze(1)
    if len(rows) in (0, len(image)):
        return run(image)
    return tuple(
        feature.new_zeros(len(image), *feature.shape[1:]).index_copy(0, rows, feature)
        for feature in run(image[rows])
    )


def cut(net: Any) -> list[list[nn.Module]]:
    """The modules of a timm feature network, cut after each map; empty if they are no chain."""
    if isinstance(net, FeatureDictNet) and not net.concat:
        modules, ends = list(net.items()), set(net.return_layers)
    elif isinstance(net, EfficientNetFeatures | MobileNetV3Features) and not net.feature_hooks:
        stem = [(name, part) for name, part in net.named_children() if name != "blocks"]
        modules = [*stem, *((f"blocks.{i}", block) for i, block in enumerate(net.blocks))]
        ends = set(net.feature_info.module_name())
    else:
        return []
    parts: list[list[nn.Module]] = [[]]
    for name, module in modules:
        parts[-1].append(module)
        if name in ends:
            parts.append([])
    return parts[:-1]


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
