"""Predictions tables for the tests of this room."""

from collections.abc import Callable

import numpy as np
import pytest

from agfnet.inference.predictions import Predictions

Table = Callable[..., Predictions]


def _table(
    rows: int = 60, classes: int | tuple[str, ...] = 4, *, seed: int = 0, per_patient: int = 1
) -> Predictions:
    names = tuple(f"class {c}" for c in range(classes)) if isinstance(classes, int) else classes
    rng = np.random.default_rng(seed)
    target = rng.integers(len(names), size=rows)
    logits = rng.normal(size=(rows, len(names))) + 1.5 * np.eye(len(names))[target]
    odds = np.exp(logits)
    return Predictions(
        classes=names,
        lesion_id=tuple(f"L{row}" for row in range(rows)),
        patient_id=tuple(f"P{row // per_patient}" for row in range(rows)),
        label=tuple(names[index] for index in target),
        probabilities=odds / odds.sum(axis=1, keepdims=True),
    )


@pytest.fixture(scope="session")
def table() -> Table:
    """A cohort: table(rows, classes, seed=..., per_patient=...)."""
    return _table


@pytest.fixture(params=["random", "tied", "missing class", "one class", "two classes"])
def scored(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (N, C) and target (N,) of every awkward kind."""
    rng = np.random.default_rng(7)
    classes = 2 if request.param == "two classes" else 5
    probabilities = rng.dirichlet(np.ones(classes), 200)
    target = rng.integers(classes, size=200)
    if request.param == "tied":
        grid = rng.multinomial(4, np.ones(classes) / classes, 200)
        probabilities = grid / grid.sum(axis=1, keepdims=True)
    if request.param == "missing class":
        target[target == 2] = 3
    if request.param == "one class":
        target[:] = 1
    return probabilities, target
