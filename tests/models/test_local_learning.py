"""ALL against plain loops that share nothing with it but the weights."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from agfnet.models.attention import PositionEmbedding, pool_context
from agfnet.models.local_learning import LocalLearning, Tokens

DIM, HEADS = 8, 2
SHAPES = ((4, 6), (2, 3))
COUNT = 4 * 6 + 2 * 3


def loop_attention(layer: torch.nn.Module, queries: Tensor, context: Tensor) -> Tensor:
    q = F.linear(queries, layer.query.weight, layer.query.bias)
    kv = F.linear(context, layer.key_value.weight, layer.key_value.bias)
    k, v = kv[..., :DIM], kv[..., DIM:]
    width = DIM // HEADS
    out = torch.zeros_like(queries)
    for b in range(len(queries)):
        for h in range(HEADS):
            part = slice(h * width, (h + 1) * width)
            for i in range(queries.shape[1]):
                scores = torch.stack([q[b, i, part] @ key[part] for key in k[b]]) / width**0.5
                weights = scores.exp() / scores.exp().sum()
                out[b, i, part] = sum(
                    w * value[part] for w, value in zip(weights, v[b], strict=True)
                )
    return F.linear(out, layer.out.weight, layer.out.bias)


def test_local_learning_equals_a_plain_loop() -> None:
    torch.manual_seed(0)
    layer = LocalLearning(dim=DIM, heads=HEADS, inter=True)
    tokens, own = torch.randn(2, 5, DIM), torch.randn(2, 7, DIM)
    others = [torch.randn(2, 7, DIM), torch.randn(2, 3, DIM)]
    normed = layer.norm(tokens)
    expected = (
        tokens
        + layer.gain_intra * loop_attention(layer.intra, normed, own)
        + layer.gain_inter * loop_attention(layer.inter, normed, torch.cat(others, dim=1))
    )
    norm, first, _, second = layer.feed_forward
    expected = expected + second(F.gelu(first(norm(expected))))
    torch.testing.assert_close(layer(tokens, own, others), expected, atol=1e-5, rtol=1e-4)


def test_context_is_the_guide_weighted_average_of_each_cell() -> None:
    torch.manual_seed(0)
    tokens, guide = torch.randn(2, COUNT, DIM), torch.rand(2, COUNT) + 0.1
    context = pool_context(tokens, guide, SHAPES, grid=2)
    assert context.shape == (2, 2 * 4, DIM)
    fine = tokens[:, :24].reshape(2, 4, 6, DIM)
    weight = guide[:, :24].reshape(2, 4, 6)
    for row in range(2):
        for column in range(2):
            cell = (slice(None), slice(2 * row, 2 * row + 2), slice(3 * column, 3 * column + 3))
            w = weight[cell][..., None]
            expected = (fine[cell] * w).sum(dim=(1, 2)) / w.sum(dim=(1, 2))
            torch.testing.assert_close(context[:, 2 * row + column], expected)


def test_what_is_weighted_zero_leaves_no_trace_in_the_context() -> None:
    torch.manual_seed(0)
    tokens, guide = torch.randn(1, COUNT, DIM), torch.rand(1, COUNT)
    guide[:, 3] = 0
    changed = tokens.clone()
    changed[:, 3] += 100
    torch.testing.assert_close(
        pool_context(tokens, guide, SHAPES, 2), pool_context(changed, guide, SHAPES, 2)
    )


def test_absent_view_gives_the_same_tokens_whatever_the_image() -> None:
    torch.manual_seed(0)
    layer = Tokens(channels=(3, 5), dim=DIM, grid=2)
    present = torch.tensor([False, True])
    answers = [
        layer([torch.randn(2, 3, 4, 6), torch.randn(2, 5, 2, 3)], present)[0] for _ in range(2)
    ]
    torch.testing.assert_close(answers[0][0], answers[1][0])
    assert not torch.allclose(answers[0][1], answers[1][1])


def test_guide_lies_between_zero_and_one() -> None:
    layer = Tokens(channels=(3, 5), dim=DIM, grid=2)
    maps = [torch.randn(2, 3, 4, 6), torch.randn(2, 5, 2, 3)]
    tokens, guide, shapes = layer(maps, torch.tensor([True, True]))
    assert shapes == SHAPES
    assert tokens.shape == (2, COUNT, DIM)
    assert guide.shape == (2, COUNT)
    assert ((guide > 0) & (guide < 1)).all()


def test_positions_interpolate() -> None:
    embed = PositionEmbedding(dim=DIM, grid=4, scales=1)
    exact = embed(((4, 4),)).unflatten(1, (4, 4))
    torch.testing.assert_close(exact[0, 1, 2], embed.position[0, :, 1, 2] + embed.scale[0])
    assert embed(((9, 5),)).shape == (1, 45, DIM)
