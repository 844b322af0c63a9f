"""Runs in several processes share the GPUs of a machine."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

from agfnet.study.executors import local


@pytest.mark.parametrize("named", [None, "4,GPU-b"])
def test_each_run_sees_the_gpu_that_the_fewest_runs_use(
    monkeypatch: pytest.MonkeyPatch, named: str | None
) -> None:
    """Three runs at a time on two GPUs; the variable of this process stays as it was."""
    seen: list[str | None] = []
    ended: list[int] = []

    class Process:
        def __init__(self, **_: Any) -> None:
            self.sentinel = len(seen)

        def start(self) -> None:
            seen.append(os.environ.get(local.VISIBLE))

        def join(self) -> None:
            ended.append(self.sentinel)

    if named is None:
        monkeypatch.delenv(local.VISIBLE, raising=False)
    else:
        monkeypatch.setenv(local.VISIBLE, named)
    monkeypatch.setattr(local.torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(local, "get_context", lambda _: SimpleNamespace(Process=Process))
    # of the runs at work, the second started one ends first
    monkeypatch.setattr(local.connection, "wait", lambda working: sorted(working)[:2][-1:])
    monkeypatch.setattr(local, "failure", lambda run: None)
    runs: Any = [SimpleNamespace(name=str(number)) for number in range(4)]
    config: Any = SimpleNamespace(cpus=1, workers=3)

    assert len(list(local.in_processes(runs, config))) == 4

    first, second = ("0", "1") if named is None else ("4", "GPU-b")
    assert ended[0] == 1
    assert seen == [first, second, first, second]
    assert os.environ.get(local.VISIBLE) == named


def test_without_a_gpu_nothing_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable, which hides all GPUs, is not replaced."""
    monkeypatch.setenv(local.VISIBLE, "")
    monkeypatch.setattr(local.torch.cuda, "device_count", lambda: 0)
    assert local.visible_gpus() == []
    assert local.least_used([], []) is None
