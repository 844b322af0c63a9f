"""Merged local learning computes what local learning computes, in every form of graph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from agfnet.bundle import Bundle, read_bundle
from agfnet.config import BackboneConfig, FusionConfig, ModelConfig
from agfnet.export.graph import export_graph
from agfnet.export.merged import merge
from agfnet.export.parity import compare, edge_rows, reference
from agfnet.inference.onnx_backend import OnnxBackend
from agfnet.models.agfnet import AGFNet
from agfnet.models.build import build


def network(modalities: int, **fusion: Any) -> AGFNet:
    """A network whose branches all matter."""
    torch.manual_seed(0)
    tiny = BackboneConfig(name="resnet10t", options={"channels": [8, 16, 24, 32], "stem_width": 8})
    config = ModelConfig(
        backbone=tiny, fusion=FusionConfig(**{"dim": 16, "heads": 2, "grid": 3} | fusion)
    )
    made = build(config, modalities=modalities, classes=3).eval()
    assert isinstance(made, AGFNet)
    with torch.no_grad():
        for weight in made.local_learning.parameters():
            weight.normal_(std=0.5)
    return made


@pytest.mark.parametrize("modalities", [1, 2, 3])
@pytest.mark.parametrize("fusion", [{}, {"intra": False}, {"inter": False}, {"guide": False}])
def test_merged_is_the_same(modalities: int, fusion: dict[str, Any]) -> None:
    made = network(modalities, **fusion)
    images = [torch.randn(3, 3, 64, 64) for _ in range(modalities)]
    present = torch.ones(3, modalities, dtype=torch.bool)
    present[1, 1:] = False
    with torch.no_grad():
        before = made.forward_features(images, present).tokens
        names = [type(local).__name__ for local in made.local_learning]
        merge(made, standard=True)
        after = made.forward_features(images, present).tokens
    if fusion.get("intra", True) or modalities > 1:
        assert names != [type(local).__name__ for local in made.local_learning]
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(new, old, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def bundle(trained: Path) -> Bundle:
    return read_bundle(trained)


@pytest.mark.slow
@pytest.mark.parametrize("standard", [True, False])
def test_both_forms_of_the_graph_answer_as_torch(
    bundle: Bundle, tmp_path: Path, standard: bool
) -> None:
    export_graph(bundle, tmp_path / "model.onnx", standard=standard)
    domains = {node.domain for node in onnx.load(tmp_path / "model.onnx").graph.node}
    assert domains == ({""} if standard else {"", "com.microsoft"})
    here = replace(bundle, folder=tmp_path, files=(*bundle.files, "model.onnx"))
    graph = OnnxBackend(bundle=here, file="model.onnx")
    found = compare(reference(bundle), graph, [edge_rows(bundle.config)])
    assert found.probabilities < 1e-5


def test_without_local_learning_nothing_is_merged() -> None:
    made = network(2, intra=False, inter=False)
    before = list(made.local_learning)
    merge(made, standard=False)
    assert list(made.local_learning) == before


@pytest.mark.slow
def test_three_views_of_different_context_lengths(tmp_path: Path) -> None:
    made = network(3)
    merge(made, standard=False)

    class Encode(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = made

        def forward(self, images: list[torch.Tensor], present: torch.Tensor) -> torch.Tensor:
            return torch.cat(self.network.forward_features(images, present).tokens, dim=1)

    images = [torch.randn(2, 3, 64, 64), torch.randn(2, 3, 32, 64), torch.randn(2, 3, 96, 96)]
    present = torch.tensor([[True, True, False], [True, True, True]])
    expected_of = network(3)
    with torch.no_grad():
        expected = torch.cat(expected_of.forward_features(images, present).tokens, dim=1).numpy()
        torch.onnx.export(Encode().eval(), (images, present), tmp_path / "m.onnx", dynamo=True)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    given = [*(image.numpy() for image in images), present.numpy()]
    names = [item.name for item in session.get_inputs()]
    (found,) = session.run(None, dict(zip(names, given, strict=True)))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
