"""Feature maps of one modality's image, finest first, by a timm model with `features_only`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, cast

import timm
import torch
from timm.layers.format import Format
from timm.models import FeatureDictNet
from timm.models.efficientnet import EfficientNetFeatures
from timm.models.mobilenetv3 import MobileNetV3Features
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from agfnet.errors import ConfigError
from agfnet.models.maps import MapLayout, layout_of, packed_maps
from agfnet.models.pretrained import RANDOM, missing_weights, pretrained_arguments

MIN_STRIDE = 8  # of the maps that explanations use: finer ones show edges rather than findings


class Backbone(nn.Module):
    """The last `scales` feature maps of a timm model.

    Args:
        name: a timm model name.
        scales: number of maps, counted from the coarsest.
        weights: None or `random`, `timm` for timm's published weights (`models.pretrained` says
            where they are looked for), or the path of a `.safetensors` file with the full model's
            parameters in timm's names.
        options: further arguments for `timm.create_model`.
        frozen: train nothing, including the statistics of batch normalisation.

    Attributes:
        channels: C_s of each map, finest first.
        synchronised: batch normalisation covers the batches of several processes.
        recomputed: maps within the network are computed again in the backward pass.

    Raises:
        ConfigError: the model is unknown, has too few maps, or does not fit the weights.
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
            raise ConfigError(
                f"model.backbone.name: timm has no model '{name}'; similar names: {near}"
            )
        create = dict(options)
        if weights not in (None, RANDOM):
            create |= pretrained_arguments(weights, name=name, options=options)
        try:
            net: Any = timm.create_model(
                name, features_only=True, out_indices=tuple(range(-scales, 0)), **create
            )
        except (RuntimeError, TypeError, IndexError, AssertionError) as error:
            raise ConfigError(
                f"model.backbone: timm cannot make {scales} feature maps of '{name}' with"
                f" {dict(options)}: {error}"
            ) from error
        except OSError as error:  # of a download
            raise missing_weights(name, error) from error
        # the faster layout for convolutions, on CPUs as on GPUs
        self.net: nn.Module = net.to(memory_format=torch.channels_last)
        self.channels: tuple[int, ...] = tuple(net.feature_info.channels())
        if len(self.channels) != scales:
            raise ConfigError(f"model.fusion.scales: '{name}' has no {scales} feature maps")
        self.channels_last = getattr(net, "output_fmt", Format.NCHW) == Format.NHWC
        self.frozen = frozen
        self.synchronised = False
        self.recomputed = False
        if frozen:
            self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Backbone:
        """Set training mode; a frozen backbone stays in evaluation mode."""
        return super().train(mode and not self.frozen)

    def recompute(self) -> None:
        """Compute the maps within the network again in the backward pass, instead of keeping them.

        The running statistics of batch normalisation are then updated twice in each step;
        `agfnet.training.trainer` undoes the second time.

        Raises:
            ConfigError: timm cannot do so with this model.
        """
        if self.frozen:  # has no backward pass
            return
        with suppress(AttributeError, AssertionError):  # two ways in which timm says no
            net: Any = getattr(self.net, "model", self.net)
            net.set_grad_checkpointing(True)
            self.recomputed = True
        if not self.recomputed:
            raise ConfigError(
                "fit.gradient_checkpointing: timm does not offer it for this model.backbone.name;"
                " leave it out, or set optim.accumulate"
            )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Image (B, 3, H, W) to maps (B, C_s, H_s, W_s), finest first."""
        maps: list[Tensor] = self.net(image)
        if self.channels_last:
            maps = [feature.permute(0, 3, 1, 2) for feature in maps]
        return tuple(maps)

    def map_modules(self) -> list[nn.Module]:
        """Modules whose outputs are the maps of stride 8 and more, finest first.

        A network that uses the last map only also computes the finer ones on the way. The backbone
        itself, whose output is a tuple of maps, if it cannot be cut into stages.
        """
        net: Any = self.net
        if not cut(net):
            return [self]
        modules = dict(net.named_modules())
        names = [
            item["module"] for item in net.feature_info.info if item["reduction"] >= MIN_STRIDE
        ]
        if isinstance(net, FeatureDictNet):
            names = [name.replace(".", "_") for name in names]
        return [modules[name] for name in names if name in modules] or [self]

    def stages(self) -> list[Callable[[Tensor], tuple[Tensor, ...]]]:
        """Return the network in stages: from the image to the first map, and to each next map.

        Each stage takes one map (B, C_s, H_s, W_s) and returns one, in a tuple. There is a single
        stage, from the image to the last map, if timm does not run the network as a chain of
        modules. A stage raises ConfigError if its output is more than one map.
        """
        parts = cut(self.net)
        if not parts:
            return [lambda image: self(image)[-1:]]
        return [partial(self.run_part, part, first=s == 0) for s, part in enumerate(parts)]

    def run_part(
        self, part: Sequence[nn.Module], feature: Tensor, *, first: bool
    ) -> tuple[Tensor, ...]:
        """Run some modules of the network on a map; `first` if the map is the image."""
        if self.channels_last and not first:
            feature = feature.permute(0, 2, 3, 1)
        if self.recomputed and self.training:
            feature = checkpoint(nn.Sequential(*part), feature, use_reentrant=False)
        else:
            for module in part:
                feature = module(feature)
        if not isinstance(feature, Tensor):
            raise ConfigError(
                "model.backbone.name: this timm model passes several maps from stage to stage, so"
                " modalities cannot be fused between its stages; choose another model, for example"
                " resnet50"
            )
        return (feature.permute(0, 3, 1, 2) if self.channels_last else feature,)


class Backbones(nn.ModuleList):
    """One backbone per modality, or one that all modalities share.

    Args:
        parts: M backbones, or one.
        modalities: number M of modalities.

    Attributes:
        channels: C_s of each map, finest first, per modality.
        layouts: of the maps of each modality, once `accept_maps` is called. Each modality may then
            come as maps in rows (B, D) instead of images.
        rounding: if set, maps of images are computed exactly as those that are kept on disk:
            rounded to this type in training, and to float32 otherwise.
    """

    def __init__(self, parts: Sequence[Backbone], *, modalities: int) -> None:
        if len(parts) not in (1, modalities):
            raise ValueError(f"{len(parts)} backbones for {modalities} modalities")
        super().__init__(parts)
        self.modalities = modalities
        self.channels = [parts[m % len(parts)].channels for m in range(modalities)]
        self.layouts: list[MapLayout] = []
        self.rounding: torch.dtype | None = None

    def accept_maps(self, size: int, *, rounding: torch.dtype | None = None) -> None:
        """Accept maps of images of this side in pixels; the backbones must be frozen."""
        device = next(self.parameters()).device
        blank = torch.zeros(1, 3, size, size, device=device)
        self.layouts = [layout_of(self.part(m), blank) for m in range(self.modalities)]
        self.rounding = rounding

    def forward(self, images: Sequence[Tensor], present: Tensor) -> list[tuple[Tensor, ...]]:
        """Images per modality (B, 3, H, W), present (B, M) to maps per modality."""
        return [self.maps(m, image, present[:, m]) for m, image in enumerate(images)]

    def maps(self, m: int, image: Tensor, present: Tensor) -> tuple[Tensor, ...]:
        """Images (B, 3, H, W) or rows of maps (B, D) of modality m, present (B,), to maps."""
        if image.ndim == 2:
            return self.layouts[m].unpack(image)
        if self.rounding is not None:
            return self.layouts[m].unpack(self.rows(m, image, present))
        return run_present(self.part(m), self.part(m), image, present)

    def rows(self, m: int, image: Tensor, present: Tensor) -> Tensor:
        """Images (B, 3, H, W) of modality m to rows of maps (B, D), zeros where not present."""
        rows = packed_maps(self.part(m), image[present], self.layouts[m])
        kept = rows.to(self.rounding if self.training else torch.float32)
        return kept.new_zeros(len(image), kept.shape[1]).index_copy(
            0, present.nonzero()[:, 0], kept
        )

    def recompute(self) -> None:
        """Compute maps within the backbones again in the backward pass; see `Backbone.recompute`.

        Raises:
            ConfigError: timm cannot do so with this model.
        """
        for part in self:
            cast(Backbone, part).recompute()

    def part(self, m: int) -> Backbone:
        """Return the backbone of modality m."""
        return cast(Backbone, self[m % len(self)])

    def last_maps(self, images: Sequence[Tensor], present: Tensor) -> list[Tensor]:
        """Last map (B, C, H, W) per modality."""
        return [maps[-1] for maps in self(images, present)]

    def pooled(self, images: Sequence[Tensor], present: Tensor) -> list[Tensor]:
        """Global average (B, C) of the last map per modality, zeros where it is missing."""
        return pool(self.last_maps(images, present), present)

    def stage_channels(self) -> list[tuple[int, ...]]:
        """Channels of each modality's map after each stage of `forward_stages`."""
        stages = len(self.part(0).stages())
        return list(zip(*(channels[-stages:] for channels in self.channels), strict=True))

    def forward_stages(
        self,
        images: Sequence[Tensor],
        present: Tensor,
        fuse: Callable[[int, list[Tensor]], list[Tensor]],
    ) -> list[Tensor]:
        """Last map per modality, with the modalities fused after each stage.

        Args:
            images: per modality (B, 3, H, W).
            present: (B, M).
            fuse: takes the number of the stage and the maps (B, C_s, H_s, W_s) per modality, and
                returns the maps that enter the next stage.
        """
        stages = list(zip(*(self.part(m).stages() for m in range(len(images))), strict=True))
        maps = list(images)
        for s, runs in enumerate(stages):
            outputs = [
                self.maps(m, maps[m], present[:, m])[-len(stages) :]  # the first is used
                if s == 0 and (self.rounding is not None or maps[m].ndim == 2)
                else run_present(self.part(m), run, maps[m], present[:, m])
                for m, run in enumerate(runs)
            ]
            maps = fuse(s, [output[0] for output in outputs])
        return maps


def pool(maps: Sequence[Tensor], present: Tensor) -> list[Tensor]:
    """Global average (B, C) of each modality's map (B, C, H, W), zeros where it is missing."""
    return [feature.mean(dim=(2, 3)) * present[:, m, None] for m, feature in enumerate(maps)]


def run_present(
    backbone: Backbone,
    run: Callable[[Tensor], tuple[Tensor, ...]],
    image: Tensor,
    present: Tensor,
) -> tuple[Tensor, ...]:
    """Run a backbone, or one stage of it, on images (B, 3, H, W), where present (B,) is True.

    In training, the blank image of a missing modality would enter the statistics of batch
    normalisation. Only present images pass the backbone, and the maps of the others are zero.
    """
    if not backbone.training:
        return run(image)
    rows = present.nonzero().squeeze(1)
    if backbone.synchronised:  # every process takes part in the statistics, with any rows it has
        return run_rows(run, image, rows)
    if len(rows) == 1:
        with running_statistics_of_single_values(backbone):
            return run_rows(run, image, rows)
    if len(rows) == 0:  # the backbone gives the sizes of the maps, and parameters a gradient of 0
        backbone.eval()
        try:
            return tuple(0 * feature for feature in run(image))
        finally:
            backbone.train()
    return run_rows(run, image, rows)


def run_rows(
    run: Callable[[Tensor], tuple[Tensor, ...]], image: Tensor, rows: Tensor
) -> tuple[Tensor, ...]:
    """Run a stage on some rows of images (B, 3, H, W); the maps of the others are zero."""
    if len(rows) == len(image):
        return run(image)
    return tuple(
        feature.new_zeros(len(image), *feature.shape[1:]).index_copy(0, rows, feature)
        for feature in run(image[rows])
    )


@contextmanager
def running_statistics_of_single_values(backbone: Backbone) -> Iterator[None]:
    """Let batch normalisation use its running statistics where a channel has a single value.

    The variance of one value is undefined: it occurs for a single image whose map is 1 x 1.
    """
    norms = [m for m in backbone.modules() if isinstance(m, _BatchNorm) and m.training]

    def switch(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        norm.training = inputs[0][:, 0].numel() > 1

    handles = [norm.register_forward_pre_hook(switch) for norm in norms]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for norm in norms:
            norm.training = True


def cut(net: Any) -> list[list[nn.Module]]:
    """Cut the modules of a timm feature network after each map; empty if they are not a chain."""
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
