"""Static quantisation of the convolutions: an eighth of the bits, calibrated on training cases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from agfnet.export.graph import quiet
from agfnet.files import replacing

QUANTISED = ("Conv", "Relu", "Clip", "AveragePool")
Feed = Mapping[str, np.ndarray[Any, Any]]


class Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands batches to ONNX Runtime, one after the other."""

    def __init__(self, feeds: Iterator[Feed]) -> None:
        self.feeds = feeds

    def get_next(self) -> Feed | None:
        """The next batch; None at the end."""
        return next(self.feeds, None)


def quantise(source: Path, target: Path, feeds: Iterator[Feed]) -> None:
    """Write an int8 copy of a graph.

    Convolutions alone are quantised, except the first of each backbone, with the rectifiers and
    pools that lead to them, weights per channel, activations by the range that they have on the
    batches: they are nearly all of the work, and attention is sensitive.

    Args:
        source: the fp32 graph.
        target: the int8 graph.
        feeds: inputs of the graph, a few hundred cases.
    """
    with TemporaryDirectory() as folder, replacing(target) as temporary, quiet():
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            temporary,
            Reader(feeds),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTISED),
            nodes_to_quantize=towards_convolutions(onnx.load(prepared).graph),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )


def towards_convolutions(graph: onnx.GraphProto) -> list[str]:
    """Names of the convolutions of a graph, and of the rectifiers and pools that lead to them.

    One of these left in floats would be converted to and fro, which takes time and costs accuracy.
    The first convolution of each backbone, and what follows up to the second, stay in floats: it
    may amplify differences between pixels that are smaller than a step of 8 bits.
    """
    makers = {name: node for node in graph.node for name in node.output}
    before = {n.name: ancestors(n, makers) for n in graph.node if n.op_type in QUANTISED}
    convolutions = {node.name for node in graph.node if node.op_type == "Conv"}
    later = {name for name in convolutions if before[name] & convolutions}
    leading = set[str]().union(*(before[name] for name in later))
    return [
        name
        for name, names in before.items()
        if name in later or (name in leading - convolutions and names & later)
    ]


def ancestors(node: onnx.NodeProto, makers: Mapping[str, onnx.NodeProto]) -> set[str]:
    """Names of the nodes that lead to a node.

    Args:
        node: of the graph.
        makers: the node of each tensor.
    """
    waiting = [makers[name] for name in node.input if name in makers]
    seen: set[str] = set()
    while waiting:
        node = waiting.pop()
        if node.name not in seen:
            seen.add(node.name)
            waiting += [makers[name] for name in node.input if name in makers]
    return seen
