"""Workers import nothing of the tests, so the functions are those of the standard library."""

from __future__ import annotations

import operator
import os
from contextlib import closing

import pytest

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
