"""Probabilities in whole per cent for display: the classes of a group add up to the group."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray


def round_percent(p: float) -> int:
    """Round a probability to whole per cent, halves up."""
    return math.floor(100 * p + 0.5)


def percent_text(number: int) -> str:
    """Write whole per cent, never as certainty."""
    return "<1%" if number <= 0 else ">99%" if number >= 100 else f"{number}%"


def percent(p: float) -> str:
    """Write a single probability in per cent, never rounded to certainty."""
    return percent_text(round_percent(p))


def setting_percent(fraction: float) -> str:
    """Write a setting such as a coverage in per cent with all its digits: 97.5 % are not 98 %."""
    return f"{100 * fraction:.6g}%"


def whole_percents(
    probabilities: NDArray[np.float64], groups: Iterable[Sequence[int]] = ()
) -> tuple[int, ...]:
    """Return the classes in whole per cent, such that no reader finds a sum that is wrong.

    Rounded one by one, 42.4 %, 20.4 % and 7.4 % are 69 % next to a group of 70 %. Here the group
    is rounded, and its number is apportioned to its classes of half a per cent or more, and to the
    others of them together (or to the only other), by largest remainder: each number is the true
    one, rounded up or down.

    Args:
        probabilities: (C,), which sum to 1.
        groups: the classes of each group; classes in none of them make up a further one.

    Returns:
        C numbers from 0 to 100. What a group lacks to its number are its classes of 0 together.
    """
    grouped = [list(members) for members in groups]
    others = set(range(len(probabilities))).difference(*grouped)
    numbers = [0] * len(probabilities)
    for members in [*grouped, sorted(others)]:
        small = [c for c in members if round_percent(probabilities[c]) == 0]
        shown = [c for c in members if c not in small or len(small) == 1]
        rest = sum(float(probabilities[c]) for c in members if c not in shown)
        parts = [*(float(probabilities[c]) for c in shown), rest]
        for c, number in zip(shown, apportioned(parts), strict=False):
            numbers[c] = number
    return tuple(numbers)


def apportioned(parts: Sequence[float]) -> list[int]:
    """Round probabilities to whole per cent that add up to their rounded sum."""
    numbers = [math.floor(100 * part) for part in parts]
    remainders = [
        round(100 * part - number, 9) for part, number in zip(parts, numbers, strict=True)
    ]
    order = sorted(range(len(parts)), key=lambda k: (-remainders[k], -parts[k]))
    for k in order[: max(0, round_percent(sum(parts)) - sum(numbers))]:
        numbers[k] += 1
    return numbers
