"""Attention between the regions of the modalities, on one grid for all scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agfnet.types import AttentionMap, Grid

Array = np.ndarray[Any, Any]
MAX_CELLS = 12  # cells per side of a grid that a person is shown


def attention_on_grid(maps: Sequence[AttentionMap], grid: int) -> dict[tuple[int, int], Array]:
    """Attention weights between the cells of a grid that divides every modality.

    Several attention maps of one modality, at several scales or layers, are averaged. The weights
    of a query cell over its own modality sum to 1, and those over all other modalities as well.

    Args:
        maps: attention maps of local tokens.
        grid: side g of the grid.

    Returns:
        (query modality, key modality) to (B, g², g²), rows and columns counted row by row.
    """
    parts: dict[tuple[int, int], list[Array]] = {}
    for attention in maps:
        weights = attention.weights.float().cpu().numpy()
        query_average = _query_average(attention.query_grids, grid)  # (g², Q)
        for key_modality in dict.fromkeys(modality for modality, _ in attention.key_grids):
            key_share = _key_share(attention.key_grids, key_modality, grid)  # (g², K)
            part = query_average @ weights @ key_share.T
            parts.setdefault((attention.query_modality, key_modality), []).append(part)
    return {key: np.stack(same).mean(axis=0) for key, same in parts.items()}


def update_norms(maps: Sequence[AttentionMap]) -> dict[tuple[int, bool], Array]:
    """Relative norm (B,) of what attention added to the tokens of a modality.

    The keys are the query modality, and whether it attended to itself.
    """
    norms: dict[tuple[int, bool], list[Array]] = {}
    for attention in maps:
        if attention.update_norm is not None:
            to_itself = attention.key_grids[0][0] == attention.query_modality
            norm = attention.update_norm.float().cpu().numpy()
            norms.setdefault((attention.query_modality, to_itself), []).append(norm)
    return {key: np.stack(same).mean(axis=0) for key, same in norms.items()}


def overlaps(cells: int, parts: int) -> Array:
    """Fraction of each of `parts` equal lengths that lies in each of `cells`: (cells, parts)."""
    cell, part = np.arange(cells)[:, None], np.arange(parts)
    start = np.maximum(cell / cells, part / parts)
    end = np.minimum((cell + 1) / cells, (part + 1) / parts)
    fractions: Array = np.maximum(end - start, 0) * parts
    return fractions


def _key_share(parts: Sequence[Grid], modality: int, grid: int) -> Array:
    """Fraction of each key that belongs to each cell of a modality: (g², K)."""
    blocks = [
        np.kron(overlaps(grid, height), overlaps(grid, width))
        if n == modality
        else np.zeros((grid * grid, height * width))
        for n, (height, width) in parts
    ]
    return np.concatenate(blocks, axis=1)


def _query_average(parts: Sequence[Grid], grid: int) -> Array:
    """Weights (g², Q) that average the queries of each cell; every scale counts the same."""
    blocks = [
        np.kron(overlaps(grid, height), overlaps(grid, width)) for _, (height, width) in parts
    ]
    return np.concatenate([b / b.sum(axis=1, keepdims=True) for b in blocks], axis=1) / len(parts)
