"""The comparison of a graph with the predictor notices a difference of any kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from agfnet.export.parity import BATCH_SIZE, Parity, Rows, compare, difference, edge_rows
from agfnet.inference.postprocessing import softmax

Array = np.ndarray[Any, Any]


def network(images: Sequence[Array], present: Array) -> Array:
    """Logits (R, 2) of rows, from the sum of the pixels that are present."""
    sums = sum(image.mean(axis=(1, 2, 3)) * present[:, m] for m, image in enumerate(images))
    return np.stack([sums / 100, np.ones(len(present))], axis=1)


class Predictor:
    """Averages log-probabilities over the rows of a case."""

    def __init__(self) -> None:
        self.backend = SimpleNamespace(logits=network)

    def diagnosis_of(self, _: object, logits: Array) -> SimpleNamespace:
        mean = np.log(softmax(logits)).mean(axis=0)
        return SimpleNamespace(probabilities=softmax(mean[None])[0])


class Graph:
    """The same, with a fault that depends on the inputs."""

    def __init__(self, fault: Callable[[Array, Array], float] = lambda *_: 0.0) -> None:
        self.fault = fault

    def run(
        self, names: list[str], images: Sequence[Array], present: Array, case: Array
    ) -> list[Array]:
        logits = network(images, present)
        predictor = Predictor()
        answers = [predictor.diagnosis_of([], logits[case == c]).probabilities for c in case]
        wrong = self.fault(present, case)
        return [np.stack(answers) + wrong, logits + 2 * wrong]


def rows() -> Rows:
    """20 rows of 10 cases: more than one batch."""
    images = np.random.default_rng(0).integers(0, 256, (2, 20, 4, 4, 3), dtype=np.uint8)
    return Rows(tuple(images), np.ones((20, 2), dtype=bool), np.arange(20) // 2)


def measured(fault: Callable[[Array, Array], float]) -> Parity:
    return compare(Predictor(), Graph(fault), [rows(), rows()])  # type: ignore[arg-type]


def test_the_same_network_differs_by_nothing() -> None:
    parity = measured(lambda *_: 0.0)
    assert parity == Parity(rows=40, probabilities=pytest.approx(0), logits=0)


@pytest.mark.parametrize(
    "fault",
    [
        lambda present, _: 0.01 * (len(present) == 1),
        lambda present, _: 0.01 * (len(present) > 1),
        lambda present, _: -0.01 * (len(present) == BATCH_SIZE),
        lambda _, case: 0.01 * (case.max() == 9),  # of the last batch only
    ],
    ids=["one row", "several rows", "a full batch", "the last batch"],
)
def test_every_batch_and_every_row_by_itself_are_compared(
    fault: Callable[[Array, Array], float],
) -> None:
    parity = measured(fault)
    assert parity.probabilities == pytest.approx(0.01)
    assert parity.logits == pytest.approx(0.02)


def test_the_difference_is_the_largest_in_size_and_never_hidden_by_nan() -> None:
    assert difference(np.array([0.0, -3.0, 1.0]), np.zeros(3)) == 3
    assert difference(np.array([np.nan, 1.0]), np.zeros(2)) == np.inf
    assert difference(np.zeros((0, 2)), np.zeros((0, 2))) == 0


def test_edge_cases_have_every_pattern_of_missing_modalities() -> None:
    config: Any = SimpleNamespace(size=8, modalities={"clinical": None, "ultrasound": None})
    edge = edge_rows(config)
    count = 5 * 4  # pictures and patterns
    assert [image.shape for image in edge.images] == [(count, 8, 8, 3)] * 2
    for start in range(0, count, 4):
        assert {tuple(row) for row in edge.present[start : start + 4]} == {
            (a, b) for a in (True, False) for b in (True, False)
        }
        assert len(np.unique(edge.images[0][start : start + 4], axis=0)) == 1
    assert len(np.unique(edge.images[0], axis=0)) == 5
    assert {0, 255} <= set(edge.images[0].ravel())
    assert np.bincount(edge.case).max() == 3  # frames of a case
