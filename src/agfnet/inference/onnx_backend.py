"""A bundle's network in ONNX Runtime: no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agfnet.bundle import Bundle
from agfnet.errors import BundleError

Array = np.ndarray[Any, Any]
ONNX, INT8 = "model.onnx", "model_int8.onnx"
"""Files of a bundle that `agfnet export` adds."""


class OnnxBackend:
    """Prepared images to logits, on the CPU.

    Args:
        bundle: a bundle that `agfnet export` has added an ONNX file to.
        file: which of its files.
        threads: threads that one run of the network may use; all cores if None.

    Raises:
        BundleError: no such file in the bundle, or not a graph of this bundle.
    """

    def __init__(self, *, bundle: Bundle, file: str, threads: int | None = None) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise BundleError(
                f"{bundle.folder / file}: needs ONNX Runtime; pip install 'agfnet[onnx]'"
            ) from error
        path = bundle.folder / file
        if file not in bundle.files:
            raise BundleError(f"{bundle.folder}: no {file}; make it with `agfnet export`")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads or 0
        # from memory: tensors outside the file, which nothing has verified, are not found
        content = Path(path).read_bytes()
        try:
            self.session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime has a class of its own for every cause
            raise BundleError(f"{path}: not a usable ONNX file: {first_line(error)}") from error
        inputs = [item.name for item in self.session.get_inputs()]
        self.modalities = tuple(bundle.config.modalities)
        if inputs != [*self.modalities, "present", "case"]:
            raise BundleError(f"{path}: its inputs are {', '.join(inputs)}; not of this bundle")

    def logits(self, images: Sequence[Array], present: Array) -> Array:
        """Images per modality (B, H, W, 3) uint8 and present (B, M) bool to logits (B, C)."""
        (logits,) = self.run(["logits"], images, present, np.arange(len(present)))
        return logits

    def run(
        self, outputs: list[str], images: Sequence[Array], present: Array, case: Array
    ) -> list[Array]:
        """Any outputs of the graph (see `agfnet.export.graph`)."""
        given = dict(zip(self.modalities, images, strict=True))
        found: list[Array] = self.session.run(outputs, given | {"present": present, "case": case})
        return found


def first_line(error: Exception) -> str:
    """The first line of an error's text."""
    return (str(error).splitlines() or [type(error).__name__])[0]
