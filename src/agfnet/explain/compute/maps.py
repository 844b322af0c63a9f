"""Attribution maps for every network of the package, with few forward passes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from agfnet.errors import ConfigError
from agfnet.explain.compute.occlusion import occlusion
from agfnet.inference.torch_backend import TorchBackend
from agfnet.types import Intermediates

Array = np.ndarray[Any, Any]
STEPS = 16  # of integrated gradients
RECORDED = {"guide", "layercam", "gradcam"}  # need one recorded pass


class Explainer:
    """Compute the attribution maps of one network.

    A map is 0 or more, per modality (B, size, size), and 0 where the modality is missing. Within a
    method, the maps of all modalities have the same scale, so that their sums can be compared.
    """

    def __init__(self, *, backend: TorchBackend) -> None:
        self.backend = backend

    def record(self, images: Sequence[Array], present: Array) -> Intermediates:
        """Run the forward pass that guide, CAM and attention share.

        Args:
            images: per modality (B, size, size, 3) uint8, prepared.
            present: (B, M).
        """
        available = torch.from_numpy(present).to(self.backend.device)
        return self.backend.model.forward_intermediates(self.backend.tensors(images), available)

    def maps(
        self,
        methods: Iterable[str],
        images: Sequence[Array],
        present: Array,
        classes: Array,
        *,
        recorded: Intermediates | None = None,
    ) -> dict[str, list[Array]]:
        """Compute maps by method; methods that this network does not support are left out.

        Args:
            methods: names of METHODS.
            images: per modality (B, size, size, 3) uint8, prepared.
            present: (B, M).
            classes: (B,), the class that is explained.
            recorded: result of `record` for the same images, to save a pass.

        Raises:
            ConfigError: integrated gradients without the package that computes them.
        """
        methods = list(methods)
        if recorded is None and RECORDED & set(methods):
            recorded = self.record(images, present)
        result: dict[str, list[Array]] = {}
        for method in methods:
            if method == "gradient":
                result[method] = self.backend.attributions(images, present, classes)
            elif method == "occlusion":
                result[method] = occlusion(self.backend.logits, images, present, classes)
            elif method == "integrated":
                result[method] = self._integrated(images, present, classes)
            elif recorded is not None:
                size = (images[0].shape[1], images[0].shape[2])
                if maps := from_record(method, recorded, torch.from_numpy(classes), size):
                    result[method] = [_array(part) for part in maps]
        absent = ~present[..., None, None]  # (B, M, 1, 1)
        return {
            method: [np.where(absent[:, m], np.float32(0), part) for m, part in enumerate(parts)]
            for method, parts in result.items()
        }

    def _integrated(self, images: Sequence[Array], present: Array, classes: Array) -> list[Array]:
        """Positive part of the integrated gradients from the mean colour of the image."""
        try:
            from captum.attr import IntegratedGradients
        except ImportError as error:
            raise ConfigError(
                "methods: integrated gradients need captum; pip install 'agfnet[explain]'"
            ) from error

        def forward(*inputs: Tensor) -> Tensor:
            *pixels, available = inputs
            logits: Tensor = self.backend.model(tuple(pixels), available).logits
            return logits

        tensors = self.backend.tensors(images)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # captum warns of gradients that it sets itself
            attributions = IntegratedGradients(forward).attribute(
                tensors,
                baselines=tuple(x.mean(dim=(2, 3), keepdim=True).expand_as(x) for x in tensors),
                target=torch.from_numpy(classes).to(self.backend.device),
                additional_forward_args=(torch.from_numpy(present).to(self.backend.device),),
                n_steps=STEPS,
                internal_batch_size=max(STEPS, len(classes)),
            )
        return [_array(part.sum(dim=1).clamp_min(0)) for part in attributions]


def from_record(
    method: str, recorded: Intermediates, classes: Tensor, size: tuple[int, int]
) -> list[Tensor]:
    """Maps (B, *size) per modality from one recorded pass; empty if the network has none."""
    if method == "guide":
        return [
            torch.stack([_to(g, size) for g in guides]).mean(dim=0) for guides in recorded.guides
        ]
    logits = recorded.logits
    explained = logits[torch.arange(len(classes)), classes.to(logits.device)].sum()
    raw = [feature.raw for features in recorded.maps for feature in features]
    gradients = torch.autograd.grad(
        explained, raw, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    gradient = iter(gradients)
    pairs = [
        [(f.channels_first(f.raw), f.channels_first(next(gradient))) for f in part]
        for part in recorded.maps
    ]
    if method == "gradcam":
        scales = len(pairs[0]) // recorded.members
        pairs = [part[scales - 1 :: scales] for part in pairs]  # the last map of each network
    cam = _gradcam if method == "gradcam" else _layercam
    return [torch.stack([_density(cam(*f), size) for f in p]).mean(dim=0) for p in pairs]


def _layercam(feature: Tensor, gradient: Tensor) -> Tensor:
    """(B, H, W): features weighed by their own positive gradient.

    Jiang et al., "LayerCAM: exploring hierarchical class activation maps for localization", IEEE
    TIP 30, 2021. Here averaged over all maps of stride 8 and more.
    """
    return (feature * gradient.clamp_min(0)).sum(dim=1).clamp_min(0)


def _gradcam(feature: Tensor, gradient: Tensor) -> Tensor:
    """(B, H, W): features weighed by the mean gradient of their channel.

    Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based
    localization", ICCV 2017.
    """
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    return (feature * weights).sum(dim=1).clamp_min(0)


def _density(cells: Tensor, size: tuple[int, int]) -> Tensor:
    """Density (B, H, W) of amounts in cells (B, h, w); coarse and fine grids have equal sums."""
    return _to(cells * (cells.shape[1] * cells.shape[2]), size)


def _to(cells: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, h, w) to (B, H, W), bilinear between the centres of the cells."""
    return F.interpolate(cells[:, None].float(), size=size, mode="bilinear")[:, 0]


def _array(values: Tensor) -> Array:
    array: Array = values.detach().float().cpu().numpy()
    return array
