"""The module that becomes the graph, on a network of three weights, against the predictor."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from agfnet.bundle import Calibration
from agfnet.errors import BundleError
from agfnet.export import run as export
from agfnet.export.graph import Deployed
from agfnet.export.parity import Parity, Rows, compare
from agfnet.inference.flips import flip_passes
from agfnet.inference.predictor import Predictor

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
CALIBRATIONS = {
    "none": Calibration(),
    "temperature": Calibration(temperature=3.0),
    "vector": Calibration(scale=(2.0, 0.5, 1.0), bias=(0.0, 1.0, -1.0)),
}


class Corner(nn.Module):
    """Logits from the colours of the first pixel of each image that is present."""

    def forward(self, images: Sequence[Tensor], present: Tensor) -> SimpleNamespace:
        corners = torch.stack([image[:, :, 0, 0] for image in images], dim=1)  # (R, M, 3)
        return SimpleNamespace(logits=(corners * present[..., None]).sum(dim=1))


class Backend:
    """The same in numpy, with flips, written from the description of the graph."""

    def __init__(self, passes: Sequence[Sequence[tuple[int, ...]]]) -> None:
        self.passes = passes

    def logits(self, images: Sequence[np.ndarray], present: np.ndarray) -> np.ndarray:
        passes = []
        for axes in self.passes:
            logits = np.zeros((len(present), 3))
            for m, image in enumerate(images):
                corner = np.flip(image, axes[m])[:, 0, 0].astype(float)
                logits += (corner / 255 - MEAN) / STD * present[:, m, None]
            passes.append(logits)
        return np.mean(passes, axis=0)


class Eager:
    """The module, run by torch as a graph is run."""

    def __init__(self, module: Deployed) -> None:
        self.module = module

    def run(self, names: list[str], images: Any, present: Any, case: Any) -> list[Any]:
        tensors = [torch.from_numpy(image) for image in images]
        outputs = self.module(tensors, torch.from_numpy(present), torch.from_numpy(case))
        return [outputs[name].numpy() for name in names]


def rows() -> Rows:
    """Three frames of each of three cases, the frames of a case apart from each other."""
    images = np.random.default_rng(0).integers(0, 256, (2, 9, 4, 5, 3), dtype=np.uint8)
    present = np.array([[True, True], [True, False], [False, True]] * 3)
    return Rows(tuple(images), present, np.arange(9) % 3)


@pytest.mark.parametrize("flips", [False, True])
@pytest.mark.parametrize("name", CALIBRATIONS)
def test_the_graph_calibrates_and_averages_frames_and_flips_as_the_predictor(
    name: str, flips: bool
) -> None:
    passes = flip_passes(["photo", "ultrasound"]) if flips else (((), ()),)
    calibration = CALIBRATIONS[name]
    bundle: Any = SimpleNamespace(calibration=calibration, config=SimpleNamespace(group_numbers=()))
    predictor = Predictor(bundle=bundle, backend=Backend(passes))
    module = Deployed(model=Corner(), mean=MEAN, std=STD, calibration=calibration, passes=passes)
    parity = compare(predictor, Eager(module), [rows()])  # type: ignore[arg-type]
    assert parity.rows == 9
    assert parity.probabilities < 1e-6
    assert parity.logits < 1e-5


@pytest.mark.parametrize(("difference", "refused"), [(9e-5, False), (1.1e-4, True)])
def test_a_graph_that_differs_in_the_fourth_digit_is_refused(
    monkeypatch: pytest.MonkeyPatch, difference: float, refused: bool
) -> None:
    measured = Parity(rows=1, probabilities=difference, logits=0.0)
    for name in ("OnnxBackend", "rows_of", "reference", "edge_rows"):
        monkeypatch.setattr(export, name, lambda *_, **__: None)
    monkeypatch.setattr(export, "compare", lambda *_: measured)
    bundle: Any = SimpleNamespace(config=None, folder="bundle")
    if refused:
        with pytest.raises(BundleError, match=r"differs from the network by 1\.1e-04"):
            export.check_parity(bundle, bundle, [])
    else:
        assert export.check_parity(bundle, bundle, []) == measured
