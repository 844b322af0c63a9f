"""Whole per cent that add up."""

from __future__ import annotations

import numpy as np
import pytest

from agfnet.inference.percents import percent, percent_text, round_percent, whole_percents


def test_the_parts_add_up_to_the_group() -> None:
    values = np.array([0.424, 0.204, 0.074, 0.298])
    assert whole_percents(values, [(0, 1, 2), (3,)]) == (43, 20, 7, 30)
    assert [round_percent(p) for p in values] == [42, 20, 7, 30]


def test_small_classes_are_summed_up_and_a_single_one_has_the_rest() -> None:
    values = np.array([0.025, 0.004, 0.004, 0.004, 0.963])
    assert whole_percents(values, [(0, 1, 2, 3), (4,)]) == (3, 0, 0, 0, 96)  # others: 1 of 4
    values = np.array([0.032, 0.0045, 0.9635])
    assert whole_percents(values, [(0, 1), (2,)]) == (3, 1, 96)


@pytest.mark.parametrize("concentration", [0.2, 1.0, 5.0])
def test_every_number_is_the_true_one_rounded_up_or_down(concentration: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        count = int(rng.integers(2, 12))
        values = rng.dirichlet(np.full(count, concentration))
        cut = int(rng.integers(0, count + 1))
        groups = [tuple(range(cut)), tuple(range(cut, count))]
        numbers = whole_percents(values, groups)
        for members in groups:
            hidden = [c for c in members if numbers[c] == 0]
            rest = round_percent(values[list(members)].sum()) - sum(numbers[c] for c in members)
            assert -1e-9 <= rest < 100 * values[hidden].sum() + 1
        for value, number in zip(100 * values, numbers, strict=True):
            assert abs(value - number) < 1
        for a, b in [(a, b) for members in groups for a in members for b in members]:
            assert values[a] < values[b] or numbers[a] >= numbers[b]


def test_halves_are_rounded_up_and_nothing_is_certain() -> None:
    assert [percent(p) for p in (0.125, 0.135, 0.0049, 0.005, 0.995, 0.994)] == [
        "13%",
        "14%",
        "<1%",
        "1%",
        ">99%",
        "99%",
    ]
    assert percent_text(100) == ">99%"
