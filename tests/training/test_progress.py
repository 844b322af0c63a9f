from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from agfnet.training.progress import TrainingProgress


def test_epochs_are_counted_from_1_with_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    bar = TrainingProgress()
    bar._trainer = SimpleNamespace(max_epochs=12)  # type: ignore[assignment]
    bar.start, bar.start_epoch = 100.0, 2  # a resumed run
    monkeypatch.setattr(time, "monotonic", lambda: 220.0)
    assert bar._get_train_description(2) == "Epoch 3/12"
    assert bar._get_train_description(4) == "Epoch 5/12, 8 min left"
