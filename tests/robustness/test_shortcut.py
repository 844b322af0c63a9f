from __future__ import annotations

import numpy as np
import pytest

from agfnet.errors import DataError
from agfnet.inference.predictions import Predictions
from agfnet.robustness.shortcut import shortcut_drop


def table(right: list[bool], ids: str = "1234") -> Predictions:
    return Predictions(
        classes=("a", "b"),
        lesion_id=tuple(ids),
        patient_id=tuple(ids),
        label=("a",) * 4,
        probabilities=np.array([[0.9, 0.1] if hit else [0.1, 0.9] for hit in right]),
    )


def test_accuracy_lost_with_the_shortcut_flipped() -> None:
    plain, flipped = table([True, True, True, False]), table([True, False, False, False])
    found = shortcut_drop(plain, flipped, resamples=100)
    assert found.value == 0.5
    assert found.low <= 0.5 <= found.high
    with pytest.raises(DataError, match="in one table only"):
        shortcut_drop(plain, table([True] * 4, ids="1235"), resamples=10)
