"""ALL against plain loops that share nothing with it but the weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from agfnet.models.attention import CrossAttention
from agfnet.models.context import Context, concatenate_contexts
from agfnet.models.local_learning import LocalLayer

DIM, HEADS = 8, 2
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
    layer = LocalLayer(dim=DIM, heads=HEADS, intra=intra, inter=inter)
    tokens, own = torch.randn(2, 5, DIM), some_context(7)
    others = [some_context(7), some_context(3)]
    expected = tokens
    if intra:
        expected = expected + layer.layer_scale_intra * loop_attention(
            layer.intra, layer.norm(tokens), own
        )
    if inter:
        expected = expected + layer.layer_scale_inter * loop_attention(
            layer.inter, layer.norm(tokens), concatenate_contexts(others)
        )
    norm, first, _, second = layer.feed_forward
    expected = expected + layer.layer_scale_feed_forward * second(F.gelu(first(norm(expected))))
    torch.testing.assert_close(layer(tokens, own, others), expected, atol=1e-5, rtol=1e-4)
