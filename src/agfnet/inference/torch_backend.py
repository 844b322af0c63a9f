"""A bundle's network in torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from agfnet.bundle import Bundle
from agfnet.data.features import FILE, FeatureCache, identities
from agfnet.data.preprocess import normalise
from agfnet.errors import BundleError
from agfnet.inference.flips import passes_of
from agfnet.models.build import backbone_digests, build, build_ensemble
from agfnet.models.ensemble import Ensemble
from agfnet.models.network import Network, record_calls

Array = np.ndarray[Any, Any]


class TorchBackend:
    """Computes logits of prepared images, on a GPU if one is available.

    Args:
        bundle: the bundle.
        features: folder with kept feature maps of the frozen backbones (`data.feature_variants`).
            A batch with the maps of all its images of a modality does without that backbone. An
            ensemble does not use them.

    Raises:
        BundleError: the weights do not fit the settings.
    """

    def __init__(self, *, bundle: Bundle, features: Path | None = None) -> None:
        config = bundle.config
        self.mean, self.std = config.mean, config.std
        self.passes = passes_of(bundle)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        sizes = {"modalities": len(config.modalities), "classes": len(config.classes)}
        model: Network | Ensemble = (
            build(config.model, **sizes)
            if config.members == 1
            else build_ensemble(config.model, members=config.members, **sizes)
        )
        try:
            model.load_state_dict(load_file(bundle.weights))
        except Exception as error:
            reason = " ".join(str(error).split())[:200]  # torch lists every tensor
            raise BundleError(
                f"{bundle.weights}: does not fit config.json ({reason}); copy the bundle again"
            ) from error
        self.features: FeatureCache | None = None
        if features is not None and (features / FILE).is_file() and isinstance(model, Network):
            digests = backbone_digests(config.model, model.backbones)
            networks = identities(
                digests,
                config.modalities.values(),
                size=config.size,
                mean=config.mean,
                std=config.std,
            )
            self.features = FeatureCache(folder=features, max_bytes=0, backbones=networks)
            model.backbones.accept_maps(config.size)
        self.model = model.eval().to(self.device)

    @torch.inference_mode()
    def logits(self, images: Sequence[Array], present: Array) -> Array:
        """Return logits (B, C) of images (B, H, W, 3) uint8 by modality and present (B, M).

        They are the mean over the flips of the bundle.
        """
        available = torch.from_numpy(present).to(self.device)
        total = torch.zeros((), device=self.device)
        for axes in self.passes:
            flipped = (np.flip(image, axis) for image, axis in zip(images, axes, strict=True))
            inputs = [self.input(m, image, present[:, m]) for m, image in enumerate(flipped)]
            total = total + self.model(inputs, available).logits.float()
        logits: Array = (total / len(self.passes)).cpu().numpy()
        return logits

    @torch.inference_mode()
    def embed(self, images: Sequence[Array], present: Array) -> Array | None:
        """Return what the classification head reads (B, D), without flips; None without a head.

        Those of all members of an ensemble, one after the other.
        """
        networks = self.model.members if isinstance(self.model, Ensemble) else [self.model]
        parts = [getattr(network, "head", None) for network in networks]
        heads = [head for head in parts if isinstance(head, nn.Module)]
        if not heads:
            return None
        inputs = [self.input(m, image, present[:, m]) for m, image in enumerate(images)]
        available = torch.from_numpy(present).to(self.device)
        with record_calls(heads) as calls:
            for network in networks:
                network(inputs, available)
        features = torch.cat([calls.inputs(head)[0] for head in heads], dim=1)
        array: Array = features.float().cpu().numpy()
        return array

    def use_members(self, members: Sequence[int]) -> None:
        """Predict with some members of an ensemble only; a single network stays as it is."""
        if isinstance(self.model, Ensemble):
            self.model.active = tuple(members)

    def input(self, modality: int, images: Array, present: Array) -> Tensor:
        """Return the kept feature maps (B, D) of images (B, H, W, 3), or the images normalised."""
        if self.features is not None:
            maps = self.features.images(modality, images, present)
            if maps is not None:
                return torch.from_numpy(maps).to(self.device)
        return self.tensors([images])[0]

    def tensors(self, images: Sequence[Array]) -> tuple[Tensor, ...]:
        """Normalise images (B, H, W, 3) uint8 to tensors (B, 3, H, W)."""
        return tuple(
            torch.from_numpy(normalise(image, mean=self.mean, std=self.std)).to(self.device)
            for image in images
        )

    def attributions(self, images: Sequence[Array], present: Array, classes: Array) -> list[Array]:
        """|gradient x input| of the logits of classes (B,), summed over channels; without flips.

        Returns:
            Attribution maps (B, H, W) by modality.
        """
        tensors = tuple(image.requires_grad_() for image in self.tensors(images))
        output = self.model(tensors, torch.from_numpy(present).to(self.device))
        logit = output.logits[torch.arange(len(classes)), torch.from_numpy(classes)].sum()
        gradients = torch.autograd.grad(logit, tensors, allow_unused=True, materialize_grads=True)
        return [
            (gradient * tensor).abs().sum(dim=1).detach().float().cpu().numpy()
            for gradient, tensor in zip(gradients, tensors, strict=True)
        ]
