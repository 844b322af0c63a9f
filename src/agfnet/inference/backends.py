"""Runtimes of a bundle's network: PyTorch, or ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from agfnet.bundle import WEIGHTS, Bundle
from agfnet.config import Backend as BackendName
from agfnet.errors import ConfigError
from agfnet.inference.onnx_backend import INT8, ONNX, OnnxBackend

Array = np.ndarray[Any, Any]


class Backend(Protocol):
    """Runtime of the network."""

    def logits(self, images: Sequence[Array], present: Array) -> Array:
        """Return logits (B, C) of images (B, H, W, 3) uint8 by modality and present (B, M)."""
        ...

    def embed(self, images: Sequence[Array], present: Array) -> Array | None:
        """Return what the head classifies from (B, D); None if there is no such head."""
        ...


def open_backend(
    bundle: Bundle,
    name: BackendName,
    *,
    features: Path | None = None,
    threads: int | None = None,
) -> Backend:
    """Load a bundle's network into its runtime; imports only what that needs."""
    file = network_file(bundle, name)
    if file == WEIGHTS:
        from agfnet.inference.torch_backend import TorchBackend

        return TorchBackend(bundle=bundle, features=features)
    return OnnxBackend(bundle=bundle, file=file, threads=threads)


def network_file(bundle: Bundle, name: BackendName) -> str:
    """Return the name of the file with the network that a backend runs."""
    if name == "auto":
        name = "onnx" if ONNX in bundle.files else "torch"
    files = {"torch": WEIGHTS, "onnx": ONNX, "int8": INT8}
    if name not in files:
        raise ConfigError(f"backend: {name!r}; expected auto, {', '.join(files)}")
    return files[name]
