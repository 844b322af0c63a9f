"""ALL against plain loops that share nothing with it but the weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from agfnet.models.attention import Context, CrossAttention, PositionEmbedding, pool_context
from agfnet.models.local_learning import LocalLearning, Tokens, at_most, join

DIM, HEADS = 8, 2
SHAPES = ((4, 6), (2, 3))
COUNT = 4 * 6 + 2 * 3


def loop_attention(layer: CrossAttention, queries: Tensor, context: Context) -> Tensor:
    q = F.linear(queries, layer.query.weight, layer.query.bias)
    kv = F.linear(context.tokens, layer.key_value.weight, layer.key_value.bias)
    k, v = kv[..., :DIM], kv[..., DIM:]
    width = DIM // HEADS
    out = torch.zeros_like(queries)
    for b in range(len(queries)):
        for h in range(HEADS):
            part = slice(h * width, (h + 1) * width)
            for i in range(queries.shape[1]):
                scores = torch.stack([q[b, i, part] @ key[part] for key in k[b]]) / width**0.5
                weights = scores.exp() * context.bias[b, 0].exp()
                out[b, i, part] = sum(
                    w * value[part] for w, value in zip(weights / weights.sum(), v[b], strict=True)
                )
    return F.linear(out, layer.out.weight, layer.out.bias)


def some_context(count: int) -> Context:
    return Context(torch.randn(2, count, DIM), torch.rand(2, 1, count).log())


@pytest.mark.parametrize("intra", [True, False])
@pytest.mark.parametrize("inter", [True, False])
def test_local_learning_equals_a_plain_loop(intra: bool, inter: bool) -> None:
    torch.manual_seed(0)
    layer = LocalLearning(dim=DIM, heads=HEADS, intra=intra, inter=inter)
    tokens, own = torch.randn(2, 5, DIM), some_context(7)
    others = [some_context(7), some_context(3)]
    expected = tokens
    if intra:
        expected = expected + layer.gain_intra * loop_attention(
            layer.intra, layer.norm(tokens), own
        )
    if inter:
        expected = expected + layer.gain_inter * loop_attention(
            layer.inter, layer.norm(tokens), join(others)
        )
    norm, first, _, second = layer.feed_forward
    expected = expected + layer.gain_feed_forward * second(F.gelu(first(norm(expected))))
    torch.testing.assert_close(layer(tokens, own, others), expected, atol=1e-5, rtol=1e-4)


def test_contexts_join_one_after_the_other() -> None:
    first, second = some_context(3), some_context(2)
    joined = join([first, second])
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


def test_absent_view_gives_the_same_tokens_whatever_the_image() -> None:
    torch.manual_seed(0)
    layer = Tokens(channels=(3, 5), dim=DIM, grid=2, guided=True)
    present = torch.tensor([False, True])
    answers = [
        layer([torch.randn(2, 3, 4, 6), torch.randn(2, 5, 2, 3)], present)[0] for _ in range(2)
    ]
    torch.testing.assert_close(answers[0][0], answers[1][0])
    assert not torch.allclose(answers[0][1], answers[1][1])


def test_guide_lies_between_zero_and_one() -> None:
    layer = Tokens(channels=(3, 5), dim=DIM, grid=2, guided=True)
    maps = [torch.randn(2, 3, 4, 6), torch.randn(2, 5, 2, 3)]
    tokens, guide, shapes = layer(maps, torch.tensor([True, True]))
    assert shapes == SHAPES
    assert tokens.shape == (2, COUNT, DIM)
    assert guide.shape == (2, COUNT)
    assert ((guide > 0) & (guide < 1)).all()


def test_without_a_guide_all_tokens_count_alike() -> None:
    layer = Tokens(channels=(3,), dim=DIM, grid=2, guided=False)
    _, guide, _ = layer([torch.randn(2, 3, 4, 6)], torch.tensor([True, True]))
    assert (guide == 1).all()


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((16, 16), (16, 16)), ((28, 28), (14, 14)), ((17, 5), (9, 3)), ((56, 42), (14, 11))],
)
def test_a_fine_map_is_averaged_in_blocks(
    shape: tuple[int, int], expected: tuple[int, int]
) -> None:
    feature = torch.randn(2, 3, *shape)
    found = at_most(feature, 16)
    assert found.shape == (2, 3, *expected)
    if shape == expected:
        assert found is feature
    elif shape == (28, 28):
        torch.testing.assert_close(found[:, :, 1, 2], feature[:, :, 2:4, 4:6].mean(dim=(2, 3)))


def test_positions_interpolate() -> None:
    embed = PositionEmbedding(dim=DIM, grid=4, scales=1)
    exact = embed(((4, 4),)).unflatten(1, (4, 4))
    torch.testing.assert_close(exact[0, 1, 2], embed.position[0, :, 1, 2] + embed.scale[0])
    assert embed(((9, 5),)).shape == (1, 45, DIM)
