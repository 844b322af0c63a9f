"""Which region of a view consulted which region of a view: attention on one grid for all scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agfnet.explain.compute.recording import Part, Reading

Array = np.ndarray[Any, Any]
FINEST = 12  # most cells per side of a grid that a person is shown


def consulted(readings: Sequence[Reading], grid: int) -> dict[tuple[int, int], Array]:
    """Share of its attention that each cell of a view gave to each cell of a view.

    Several readings of one view, at several scales or layers, are averaged. What a cell gave to its
    own view sums to 1, and what it gave to all others as well.

    Args:
        readings: local ones of a record.
        grid: side g of the grid that every view is divided into.

    Returns:
        (asker, asked) to (B, g², g²), rows and columns counted row by row.
    """
    found: dict[tuple[int, int], list[Array]] = {}
    for reading in readings:
        weights = reading.weights.float().cpu().numpy()
        asking = _averages(reading.asking, grid)  # (g², Q)
        for n in dict.fromkeys(view for view, _ in reading.asked):
            gathered = _shares(reading.asked, n, grid)  # (g², K)
            part = asking @ weights @ gathered.T
            found.setdefault((reading.asker, n), []).append(part)
    return {key: np.stack(parts).mean(axis=0) for key, parts in found.items()}


def strengths(readings: Sequence[Reading]) -> dict[tuple[int, bool], Array]:
    """How much (B,) what was read changed a view's tokens, by asker and whether it asked itself."""
    found: dict[tuple[int, bool], list[Array]] = {}
    for reading in readings:
        if reading.strength is not None:
            own = reading.asked[0][0] == reading.asker
            strength = reading.strength.float().cpu().numpy()
            found.setdefault((reading.asker, own), []).append(strength)
    return {key: np.stack(parts).mean(axis=0) for key, parts in found.items()}


def overlaps(cells: int, parts: int) -> Array:
    """Share of each of `parts` equal lengths that lies in each of `cells`: (cells, parts)."""
    cell, part = np.arange(cells)[:, None], np.arange(parts)
    start = np.maximum(cell / cells, part / parts)
    end = np.minimum((cell + 1) / cells, (part + 1) / parts)
    shares: Array = np.maximum(end - start, 0) * parts
    return shares


def _shares(parts: Sequence[Part], view: int, grid: int) -> Array:
    """(g², K): how much of what each key was given belongs to each cell of a view."""
    blocks = [
        np.kron(overlaps(grid, height), overlaps(grid, width))
        if n == view
        else np.zeros((grid * grid, height * width))
        for n, (height, width) in parts
    ]
    return np.concatenate(blocks, axis=1)


def _averages(parts: Sequence[Part], grid: int) -> Array:
    """(g², Q): the weights with which the queries in each cell are averaged, scales alike."""
    blocks = [
        np.kron(overlaps(grid, height), overlaps(grid, width)) for _, (height, width) in parts
    ]
    return np.concatenate([b / b.sum(axis=1, keepdims=True) for b in blocks], axis=1) / len(parts)
