"""The context of a modality: weighted averages in cells."""

from __future__ import annotations

import torch

from agfnet.models.context import Context, concatenate_contexts, pool_context

DIM = 8
SHAPES = ((4, 6), (2, 3))
COUNT = 4 * 6 + 2 * 3


def some_context(count: int) -> Context:
    return Context(torch.randn(2, count, DIM), torch.rand(2, 1, count).log())


def test_contexts_join_one_after_the_other() -> None:
    first, second = some_context(3), some_context(2)
    joined = concatenate_contexts([first, second])
    torch.testing.assert_close(joined.tokens[:, 3:], second.tokens)
    torch.testing.assert_close(joined.bias[:, :, :3], first.bias)


def test_context_is_the_guide_weighted_average_of_each_cell() -> None:
    torch.manual_seed(0)
    tokens, guide = torch.randn(2, COUNT, DIM), torch.rand(2, COUNT) + 0.1
    context = pool_context(tokens, guide, SHAPES, grid=2)
    assert context.tokens.shape == (2, 2 * 4, DIM)
    assert context.bias.shape == (2, 1, 2 * 4)
    fine = tokens[:, :24].reshape(2, 4, 6, DIM)
    weight = guide[:, :24].reshape(2, 4, 6)
    for row in range(2):
        for column in range(2):
            cell = (slice(None), slice(2 * row, 2 * row + 2), slice(3 * column, 3 * column + 3))
            w = weight[cell][..., None]
            expected = (fine[cell] * w).sum(dim=(1, 2)) / w.sum(dim=(1, 2))
            place = 2 * row + column
            torch.testing.assert_close(context.tokens[:, place], expected)
            torch.testing.assert_close(context.bias[:, 0, place].exp(), w.mean(dim=(1, 2))[:, 0])


def test_a_map_smaller_than_the_grid_keeps_its_cells() -> None:
    tokens = torch.randn(1, COUNT, DIM)
    context = pool_context(tokens, torch.ones(1, COUNT), SHAPES, grid=3)
    assert context.tokens.shape == (1, 3 * 3 + 2 * 3, DIM)
    torch.testing.assert_close(context.tokens[:, 9:], tokens[:, 24:])


def test_what_is_weighted_zero_leaves_no_trace_in_the_context() -> None:
    torch.manual_seed(0)
    tokens, guide = torch.randn(1, COUNT, DIM), torch.rand(1, COUNT)
    guide[:, 3] = 0
    changed = tokens.clone()
    changed[:, 3] += 100
    before, after = (pool_context(x, guide, SHAPES, 2) for x in (tokens, changed))
    torch.testing.assert_close(before.tokens, after.tokens)
    torch.testing.assert_close(before.bias, after.bias)
