from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from agfnet.bundle import read_bundle
from agfnet.inference.torch_backend import TorchBackend


@pytest.fixture(scope="module")
def backend(trained: Path) -> TorchBackend:
    return TorchBackend(bundle=read_bundle(trained))


def inputs(count: int) -> tuple[list[np.ndarray], np.ndarray]:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (count, 64, 64, 3), dtype=np.uint8) for _ in range(2)]
    return images, np.ones((count, 2), dtype=bool)


def test_evidence_is_gradient_times_input(backend: TorchBackend) -> None:
    images, present = inputs(1)
    chosen = np.array([2])
    maps = backend.attributions(images, present, chosen)
    assert [part.shape for part in maps] == [(1, 64, 64)] * 2
    # scaling all pixels by (1 + e) changes the logit by e times the sum of gradient x input, which
    # is not above the sum of its absolute values
    step = 1e-3
    tensors = backend.tensors(images)
    with torch.inference_mode():
        moved, base = (
            backend.model(
                [tensor * (1 + sign * step) for tensor in tensors], torch.from_numpy(present)
            ).logits[0, 2]
            for sign in (1, -1)
        )
    assert abs(moved - base) / (2 * step) <= sum(float(part.sum()) for part in maps)
    assert all((part >= 0).all() and part.any() for part in maps)


def test_evidence_of_each_case_is_its_own(backend: TorchBackend) -> None:
    images, present = inputs(3)
    classes = np.array([0, 1, 2])
    together = backend.attributions(images, present, classes)
    for row in range(3):
        alone = backend.attributions(
            [image[[row]] for image in images], present[[row]], classes[[row]]
        )
        for part, other in zip(together, alone, strict=True):
            np.testing.assert_allclose(part[row], other[0], atol=1e-5, rtol=1e-3)


def test_a_missing_view_has_no_evidence(backend: TorchBackend) -> None:
    images, present = inputs(1)
    present[0, 1] = False
    first, second = backend.attributions(images, present, np.array([0]))
    assert first.any()
    assert not second.any()
