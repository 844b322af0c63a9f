"""Cross-attention in both forms, with and without a bias, against PyTorch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from agfnet.models.attention import CrossAttention

DIM, HEADS, QUERIES, CONTEXT = 16, 4, 3, 40


def reference(layer: CrossAttention) -> nn.MultiheadAttention:
    """PyTorch's module with the same weights."""
    theirs = nn.MultiheadAttention(DIM, HEADS, batch_first=True)
    state = {
        "in_proj_weight": torch.cat([layer.query.weight, layer.key_value.weight]),
        "in_proj_bias": torch.cat([layer.query.bias, layer.key_value.bias]),
        "out_proj.weight": layer.out.weight,
        "out_proj.bias": layer.out.bias,
    }
    theirs.load_state_dict(state)
    return theirs


def some_bias(kind: str) -> torch.Tensor | None:
    if kind == "none":
        return None
    bias = torch.randn(2, 1 if kind == "shared" else QUERIES, CONTEXT)
    if kind == "masked":
        bias[:, 0, : CONTEXT // 2] = -torch.inf
    return bias


@pytest.mark.parametrize("kind", ["none", "shared", "each", "masked"])
def test_equals_multihead_attention_and_learns_alike(kind: str) -> None:
    torch.manual_seed(0)
    layer = CrossAttention(dim=DIM, heads=HEADS)
    nn.init.normal_(layer.key_value.bias)
    theirs = reference(layer)
    queries, context, bias = torch.randn(2, QUERIES, DIM), torch.randn(2, CONTEXT, DIM), None
    given = some_bias(kind)
    if given is not None:
        bias = given.expand(2, QUERIES, CONTEXT).repeat_interleave(HEADS, dim=0)
    expected = theirs(queries, context, context, attn_mask=bias)[0]
    found = layer(queries, context, given)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    expected.square().sum().backward()
    found.square().sum().backward()
    _, key, value = theirs.in_proj_weight.grad.chunk(3)
    gradient = torch.cat([key, value])
    torch.testing.assert_close(layer.key_value.weight.grad, gradient, atol=1e-5, rtol=1e-4)


def test_a_shared_bias_that_learns_gets_its_gradient() -> None:
    torch.manual_seed(0)
    layer = CrossAttention(dim=DIM, heads=HEADS)
    queries, context = torch.randn(2, QUERIES, DIM), torch.randn(2, CONTEXT, DIM)
    shared = torch.randn(2, 1, CONTEXT, requires_grad=True)
    each = shared.detach().repeat(1, QUERIES, 1).requires_grad_()
    layer(queries, context, shared).square().sum().backward()
    layer(queries, context, each).square().sum().backward()
    torch.testing.assert_close(shared.grad, each.grad.sum(dim=1, keepdim=True))
