"""A bundle's network in ONNX Runtime, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agfnet.bundle import Bundle
from agfnet.errors import BundleError

Array = np.ndarray[Any, Any]
ONNX, INT8 = "model.onnx", "model_int8.onnx"
"""Files that `agfnet export` adds to a bundle."""


class OnnxBackend:
    """Computes logits of prepared images on the CPU.

    Args:
        bundle: a bundle to which `agfnet export` has added an ONNX file.
        file: the name of that file.
        threads: threads of one run; None: all cores.

    Raises:
        BundleError: the file is missing, or not a graph of this bundle.
    """

    def __init__(self, *, bundle: Bundle, file: str, threads: int | None = None) -> None:
        path = bundle.folder / file
        if file not in bundle.files:
            raise BundleError(f"{bundle.folder}: has no {file}; add it with `agfnet export`")
        try:
            self.session = open_session(path, threads=threads)
        except ImportError as error:
            raise BundleError(f"{path}: needs ONNX Runtime; pip install 'agfnet[onnx]'") from error
        except Exception as error:  # ONNX Runtime has one class per cause
            raise BundleError(
                f"{path}: not a usable ONNX file ({first_line(error)}); write it again with"
                " `agfnet export`, or use --backend torch"
            ) from error
        inputs = [item.name for item in self.session.get_inputs()]
        self.modalities = tuple(bundle.config.modalities)
        if inputs != [*self.modalities, "present", "case"]:
            expected = ", ".join([*self.modalities, "present", "case"])
            raise BundleError(
                f"{path}: its inputs are {', '.join(inputs)}, expected {expected}; it belongs to"
                " another bundle: export again"
            )

    def logits(self, images: Sequence[Array], present: Array) -> Array:
        """Return logits (B, C) of images (B, H, W, 3) uint8 by modality and present (B, M)."""
        (logits,) = self.run(["logits"], images, present, np.arange(len(present)))
        return logits

    def embed(self, images: Sequence[Array], present: Array) -> Array | None:
        """Return what the classification head reads (B, D); None if the graph does not have it."""
        if "features" not in (output.name for output in self.session.get_outputs()):
            return None
        (features,) = self.run(["features"], images, present, np.arange(len(present)))
        return features

    def run(
        self, outputs: list[str], images: Sequence[Array], present: Array, case: Array
    ) -> list[Array]:
        """Return some outputs of the graph (see `agfnet.export.graph`)."""
        inputs = dict(zip(self.modalities, images, strict=True))
        values: list[Array] = self.session.run(outputs, inputs | {"present": present, "case": case})
        return values


def open_session(path: Path, *, threads: int | None) -> Any:
    """Return a session of ONNX Runtime on the CPU; errors are those of ONNX Runtime.

    Args:
        path: a graph in fp32 or int8.
        threads: threads of one run; None: all cores.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    options.intra_op_num_threads = threads or 0
    return onnxruntime.InferenceSession(
        path.read_bytes(),  # from memory, so that tensors outside the verified file are not loaded
        options,
        providers=["CPUExecutionProvider"],
        # it would pool integers after the first convolution, which is ten times as slow as floats
        disabled_optimizers=["QDQPropagationTransformer"],
    )


def first_line(error: Exception) -> str:
    """Return the first line of an error's text."""
    return (str(error).splitlines() or [type(error).__name__])[0]
