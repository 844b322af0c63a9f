"""Attention maps of several sizes on one grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from agfnet.explain.compute.attention_grid import attention_on_grid, overlaps, update_norms
from agfnet.types import AttentionMap

from .networks import backend, inputs


@pytest.mark.parametrize("modalities", [1, 2, 3])
def test_weights_of_each_cell_sum_to_one(modalities: int) -> None:
    network = backend("agfnet", modalities)
    images, present = inputs(2, modalities)
    result = network.model.forward_intermediates(network.tensors(images), torch.from_numpy(present))
    fractions = attention_on_grid(result.local_attention, 3)
    views = range(modalities)
    assert set(fractions) == {(m, n) for m in views for n in views}
    for m in views:
        np.testing.assert_allclose(fractions[m, m].sum(axis=2), 1, atol=1e-5)
        others = sum(fractions[m, n].sum(axis=2) for n in views if n != m)
        np.testing.assert_allclose(others, 1 if modalities > 1 else 0, atol=1e-5)
    assert set(update_norms(result.local_attention)) == {
        (m, to_itself) for m in views for to_itself in (True, False) if to_itself or modalities > 1
    }


def attention(queries: tuple[int, int], keys: tuple[int, int], weights: Tensor) -> AttentionMap:
    return AttentionMap(0, ((0, queries),), ((1, keys),), weights[None], None)


def test_weights_lie_in_the_cells_of_their_keys() -> None:
    weights = torch.zeros(16, 4)
    weights[:, 0] = 1.0  # all of a 4 x 4 map attend to the upper left of 2 x 2
    weights[15] = torch.tensor([0.0, 0.0, 0.0, 1.0])  # except the lower right
    fractions = attention_on_grid([attention((4, 4), (2, 2), weights)], 4)[0, 1][0]
    fractions = fractions.reshape(4, 4, 4, 4)
    np.testing.assert_allclose(fractions[0, 0, :2, :2], 0.25)  # spread over the cells it covers
    assert fractions[0, 0, 2:].sum() == fractions[0, 0, :, 2:].sum() == 0
    np.testing.assert_allclose(fractions[3, 3, 2:, 2:], 0.25)
    coarse = attention_on_grid([attention((4, 4), (2, 2), weights)], 2)[0, 1][0]
    np.testing.assert_allclose(coarse[3], [0.75, 0, 0, 0.25])  # mean of the four queries


def test_overlaps_of_grids_of_different_sizes() -> None:
    np.testing.assert_allclose(overlaps(2, 3), [[1, 0.5, 0], [0, 0.5, 1]])
    np.testing.assert_allclose(overlaps(7, 2).sum(axis=0), 1)
