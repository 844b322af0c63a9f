"""Variants of AGFnet for ablations, each with one part changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from agfnet.config import TrainConfig

Variant = Callable[[TrainConfig], TrainConfig]


def fusion(**changes: Any) -> Variant:
    """Change the settings of ALL and AGL."""
    return lambda base: replace(
        base, model=replace(base.model, fusion=replace(base.model.fusion, **changes))
    )


def reconstruction(**changes: Any) -> Variant:
    """Change the settings of FRL."""
    return lambda base: replace(base, reconstruction=replace(base.reconstruction, **changes))


def modality_dropout(probability: float) -> Variant:
    """Change the probability that training treats a modality as missing."""
    return lambda base: replace(base, optim=replace(base.optim, modality_dropout=probability))


def shared(base: TrainConfig) -> TrainConfig:
    """Share one backbone among all modalities."""
    backbone = replace(base.model.backbone, shared=True)
    return replace(base, model=replace(base.model, backbone=backbone))


def concatenation(base: TrainConfig) -> TrainConfig:
    """Replace AGFnet by the simplest baseline."""
    return replace(base, model=replace(base.model, method="concatenation"))


WITHOUT_ALL = {"convolution": False, "intra": False, "inter": False, "multi_scale": False}
WITHOUT_AGL = {"correlation": False, "enhance": False}
VARIANTS: dict[str, Variant] = {
    "AGFnet": lambda base: base,
    "without ALL": fusion(**WITHOUT_ALL),
    "without AGL": fusion(**WITHOUT_AGL),
    "without FRL": reconstruction(enabled=False),
    "without ALL and AGL": fusion(**WITHOUT_ALL, **WITHOUT_AGL),
    "concatenation": concatenation,
    "without intra": fusion(intra=False),
    "without inter": fusion(inter=False),
    "one scale": fusion(scales=1),
    "two scales": fusion(scales=2),
    "full resolution": fusion(resolution=4096),
    "without guide": fusion(guide=False),
    "without local convolution": fusion(convolution=False),
    "convolutions not residual": fusion(residual=False),
    "without multi-scale path": fusion(multi_scale=False),
    "without correlation term": fusion(correlation=False),
    "without enhancement": fusion(enhance=False),
    "d doubled": lambda base: fusion(dim=2 * base.model.fusion.dim)(base),
    "g halved": lambda base: fusion(grid=max(1, base.model.fusion.grid // 2))(base),
    "shared backbones": shared,
    "random masking": reconstruction(attribution_power=0.0),
    "masking the weakest attribution": reconstruction(attribution_power=-1.0),
    "reconstruction within a modality": reconstruction(cross_modality=False),
    "no whole modality masked": reconstruction(modality_mask_prob=0.0),
    "reconstruction loss only": reconstruction(cross_entropy_weight=0.0, consistency_weight=0.0),
    "cross-entropy loss only": reconstruction(reconstruction_weight=0.0, consistency_weight=0.0),
    "without focus loss": reconstruction(focus_weight=0.0),
    "consistency loss only": reconstruction(reconstruction_weight=0.0, cross_entropy_weight=0.0),
    "no modality dropout": modality_dropout(0.0),
    "more modality dropout": modality_dropout(0.3),
    "missing modality reconstructed": fusion(reconstruct_missing=True),
}
"""Name to change of the base settings. The first is the base itself; the next four remove parts
that the paper names; the others change choices inside these parts."""
