"""Maps of where the evidence lies, for every network of the package, from few passes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from agfnet.errors import ConfigError
from agfnet.explain.compute.methods import METHODS
from agfnet.explain.compute.occlusion import occlusion
from agfnet.explain.compute.recording import FUSED, Record, record
from agfnet.inference.torch_backend import TorchBackend

Array = np.ndarray[Any, Any]
STEPS = 16  # of integrated gradients


class Explainer:
    """Draws maps of one network.

    A map is 0 or more, per modality (B, size, size), and 0 where the modality is missing. Within a
    method the maps of the modalities have one scale, so that their sums can be compared.
    """

    def __init__(self, *, backend: TorchBackend) -> None:
        self.backend = backend

    def look(self, images: Sequence[Array], present: Array) -> Record:
        """The one pass that guide, queries, CAM and attention share.

        Args:
            images: per modality (B, size, size, 3) uint8, prepared.
            present: (B, M).
        """
        there = torch.from_numpy(present).to(self.backend.device)
        return record(self.backend.model, self.backend.tensors(images), there)

    def maps(
        self,
        methods: Iterable[str],
        images: Sequence[Array],
        present: Array,
        classes: Array,
        *,
        seen: Record | None = None,
    ) -> dict[str, list[Array]]:
        """Maps by method, without those that this network cannot have.

        Args:
            methods: names of METHODS.
            images: per modality (B, size, size, 3) uint8, prepared.
            present: (B, M).
            classes: (B,), whose evidence is asked for.
            seen: what `look` gave for the same images, to save a pass.

        Raises:
            ConfigError: integrated gradients without the package that computes them.
        """
        methods = list(methods)
        if seen is None and {"guide", "query", "own_query", "layercam", "gradcam"} & set(methods):
            seen = self.look(images, present)
        found: dict[str, list[Array]] = {}
        for method in methods:
            if method == "gradient":
                found[method] = self.backend.evidence(images, present, classes)
            elif method == "occlusion":
                found[method] = occlusion(self.backend.logits, images, present, classes)
            elif method == "integrated":
                found[method] = self._integrated(images, present, classes)
            elif seen is not None:
                size = (images[0].shape[1], images[0].shape[2])
                if maps := from_record(method, seen, torch.from_numpy(classes), size):
                    found[method] = [_array(part) for part in maps]
        absent = ~present[..., None, None]  # (B, M, 1, 1)
        return {
            method: [np.where(absent[:, m], np.float32(0), part) for m, part in enumerate(parts)]
            for method, parts in found.items()
        }

    def _integrated(self, images: Sequence[Array], present: Array, classes: Array) -> list[Array]:
        """What each pixel adds on the way from the mean colour of its image, where it adds."""
        try:
            from captum.attr import IntegratedGradients
        except ImportError as error:
            raise ConfigError(
                "methods: integrated gradients need captum; pip install 'agfnet[explain]'"
            ) from error

        def answer(*inputs: Tensor) -> Tensor:
            *views, there = inputs
            logits: Tensor = self.backend.model(tuple(views), there).logits
            return logits

        tensors = self.backend.tensors(images)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # captum speaks of gradients that it sets itself
            found = IntegratedGradients(answer).attribute(
                tensors,
                baselines=tuple(x.mean(dim=(2, 3), keepdim=True).expand_as(x) for x in tensors),
                target=torch.from_numpy(classes).to(self.backend.device),
                additional_forward_args=(torch.from_numpy(present).to(self.backend.device),),
                n_steps=STEPS,
                internal_batch_size=max(STEPS, len(classes)),
            )
        return [_array(part.sum(dim=1).clamp_min(0)) for part in found]


def from_record(method: str, seen: Record, classes: Tensor, size: tuple[int, int]) -> list[Tensor]:
    """Maps (B, *size) per modality that follow from one pass; none if the network has no such."""
    if method == "guide":
        return [torch.stack([_to(g, size) for g in view]).mean(dim=0) for view in seen.guides]
    if METHODS[method].needs:
        return _query_maps(seen, size, fused=method == "query")
    chosen = seen.logits[torch.arange(len(classes)), classes.to(seen.logits.device)].sum()
    raw = [feature.raw for view in seen.maps for feature in view]
    gradients = torch.autograd.grad(
        chosen, raw, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    left = iter(gradients)
    views = [[(f.planes(f.raw), f.planes(next(left))) for f in view] for view in seen.maps]
    if method == "gradcam":
        return [_density(_gradcam(*view[-1]), size) for view in views]
    return [torch.stack([_density(_layercam(*f), size) for f in v]).mean(dim=0) for v in views]


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


def _query_maps(seen: Record, size: tuple[int, int], *, fused: bool) -> list[Tensor]:
    """Attention of the fused query, or of each view's own, summed over scales; mean over layers."""
    views: dict[int, list[Tensor]] = {}
    for reading in seen.queries:
        parts = reading.weights[:, 0].split([h * w for _, (h, w) in reading.asked], dim=1)
        sums: dict[int, list[Tensor]] = {}
        for (view, shape), part in zip(reading.asked, parts, strict=True):
            if reading.asker == (FUSED if fused else view):
                sums.setdefault(view, []).append(_density(part.unflatten(1, shape), size))
        for view, found in sums.items():
            views.setdefault(view, []).append(torch.stack(found).sum(dim=0))
    return [torch.stack(views[view]).mean(dim=0) for view in sorted(views)]


def _density(cells: Tensor, size: tuple[int, int]) -> Tensor:
    """Amounts in cells (B, h, w) as a density (B, H, W): coarse and fine grids sum to the same."""
    return _to(cells * (cells.shape[1] * cells.shape[2]), size)


def _to(cells: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, h, w) to (B, H, W), linear between the middles of the cells."""
    return F.interpolate(cells[:, None].float(), size=size, mode="bilinear")[:, 0]


def _array(values: Tensor) -> Array:
    array: Array = values.detach().float().cpu().numpy()
    return array
