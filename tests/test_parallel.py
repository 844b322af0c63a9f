"""Workers import nothing of the tests, so the functions are those of the standard library."""

from __future__ import annotations

import math
import operator
import os
from contextlib import closing
from pathlib import Path

import pytest

from agfnet import parallel
from agfnet.errors import DataError
from agfnet.parallel import AHEAD, ordered_map


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    with closing(ordered_map(operator.neg, range(40), workers=workers)) as pairs:
        assert list(pairs) == [(i, -i) for i in range(40)]


def test_items_are_read_only_as_far_as_needed() -> None:
    items = iter(range(1000))
    with closing(ordered_map(operator.neg, items, workers=2)) as pairs:
        next(pairs)
    assert next(items) <= 2 * AHEAD + 1


def test_a_killed_worker_is_reported() -> None:
    with (
        closing(ordered_map(os._exit, range(9), workers=2)) as pairs,
        pytest.raises(DataError, match=r"killed.*fewer workers"),
    ):
        list(pairs)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, math.inf),
        ({"cpu.max": "max 100000\n"}, math.inf),
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, math.inf),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
    ],
)
def test_the_quota_of_a_container(tmp_path: Path, files: dict[str, str], expected: float) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert parallel.cpu_quota(tmp_path) == expected


def test_cores_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7, 9}, raising=False)
    monkeypatch.setattr(parallel, "cpu_quota", lambda _: math.inf)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert parallel.usable_cores() == 4
    assert [parallel.threads_each(n) for n in (1, 3, 9)] == [4, 1, 1]
    monkeypatch.setattr(parallel, "cpu_quota", lambda _: 1.5)
    assert parallel.usable_cores() == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert parallel.threads_each(1) == 1
