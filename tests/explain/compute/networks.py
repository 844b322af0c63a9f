"""Small networks of every method, and inputs for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from agfnet.config import BackboneConfig, FusionConfig, ModelConfig
from agfnet.inference.torch_backend import TorchBackend
from agfnet.models.build import METHODS, build

PAIRS = ("metablock", "cross_attention", "hccnn", "amfam")  # fuse two views or more
EVERY = [(x, m) for x in METHODS for m in (1, 2, 3) if m > 1 or x not in PAIRS]
SIZE = 64


def backend(method: str = "agfnet", modalities: int = 2, **fusion: Any) -> TorchBackend:
    """An untrained network behind its backend."""
    torch.manual_seed(0)
    shared = fusion.pop("shared", False)
    small = {"channels": [8, 16, 24, 32], "stem_width": 8, "zero_init_last": False}
    name, options = fusion.pop("backbone", ("resnet10t", small))
    made: TorchBackend = object.__new__(TorchBackend)
    made.mean, made.std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    made.device = torch.device("cpu")
    made.model = build(
        ModelConfig(
            method=method,  # type: ignore[arg-type]
            backbone=BackboneConfig(name=name, options=options, shared=shared),
            fusion=FusionConfig(**{"dim": 16, "heads": 2, "grid": 3} | fusion),
        ),
        modalities=modalities,
        classes=5,
    ).eval()
    return made


def inputs(count: int, modalities: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Random images per modality, all present."""
    rng = np.random.default_rng(0)
    images = [
        rng.integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8) for _ in range(modalities)
    ]
    return images, np.ones((count, modalities), dtype=bool)
