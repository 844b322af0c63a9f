"""Attention between the regions of the modalities, on one grid for all scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agfnet.explain.compute.recording import Part, Reading

Array = np.ndarray[Any, Any]
MAX_CELLS = 12  # cells per side of a grid that a person is shown


def attention_on_grid(readings: Sequence[Reading], grid: int) -> dict[tuple[int, int], Array]:
    """Attention weights between the cells of a grid that divides every modality.

    Several readings of one modality, at several scales or layers, are averaged. The weights of a
    query cell over its own modality sum to 1, and those over all other modalities as well.

    Args:
        readings: local ones of a record.
        grid: side g of the grid.

    Returns:
        (query modality, key modality) to (B, g², g²), rows and columns counted row by row.
    """
    parts: dict[tuple[int, int], list[Array]] = {}
    for reading in readings:
        weights = reading.weights.float().cpu().numpy()
        query_average = _query_average(reading.asking, grid)  # (g², Q)
        for key_modality in dict.fromkeys(modality for modality, _ in reading.asked):
            key_share = _key_share(reading.asked, key_modality, grid)  # (g², K)
            part = query_average @ weights @ key_share.T
            parts.setdefault((reading.asker, key_modality), []).append(part)
    return {key: np.stack(same).mean(axis=0) for key, same in parts.items()}


def update_norms(readings: Sequence[Reading]) -> dict[tuple[int, bool], Array]:
    """Relative norm (B,) of what attention added to the tokens of a modality.

    The keys are the query modality, and whether it attended to itself.
    """
    norms: dict[tuple[int, bool], list[Array]] = {}
    for reading in readings:
        if reading.strength is not None:
            to_itself = reading.asked[0][0] == reading.asker
            norm = reading.strength.float().cpu().numpy()
            norms.setdefault((reading.asker, to_itself), []).append(norm)
    return {key: np.stack(same).mean(axis=0) for key, same in norms.items()}


def overlaps(cells: int, parts: int) -> Array:
    """Fraction of each of `parts` equal lengths that lies in each of `cells`: (cells, parts)."""
    cell, part = np.arange(cells)[:, None], np.arange(parts)
    start = np.maximum(cell / cells, part / parts)
    end = np.minimum((cell + 1) / cells, (part + 1) / parts)
    fractions: Array = np.maximum(end - start, 0) * parts
    return fractions


def _key_share(parts: Sequence[Part], modality: int, grid: int) -> Array:
    """Fraction of each key that belongs to each cell of a modality: (g², K)."""
    blocks = [
        np.kron(overlaps(grid, height), overlaps(grid, width))
        if n == modality
        else np.zeros((grid * grid, height * width))
        for n, (height, width) in parts
    ]
    return np.concatenate(blocks, axis=1)


def _query_average(parts: Sequence[Part], grid: int) -> Array:
    """Weights (g², Q) that average the queries of each cell; every scale counts the same."""
    blocks = [
        np.kron(overlaps(grid, height), overlaps(grid, width)) for _, (height, width) in parts
    ]
    return np.concatenate([b / b.sum(axis=1, keepdims=True) for b in blocks], axis=1) / len(parts)
