"""Local learning as its graph computes it: the same function in fewer and larger operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agfnet.models.agfnet import AGFNet
from agfnet.models.attention import CrossAttention
from agfnet.models.context import Context, concatenate_contexts
from agfnet.models.local_learning import LocalLayer


class Reading(nn.Module):
    """Attention without its last linear layer.

    The bias of a context token goes in as one more channel of its key in every head, which each
    query reads with weight 1. Then attention needs no mask, without which ONNX Runtime never holds
    the scores of all queries in memory.

    Args:
        attention: what to compute.
        standard: through operators of the ONNX standard; otherwise through one of ONNX Runtime's.
    """

    last: Tensor

    def __init__(self, attention: CrossAttention, *, standard: bool) -> None:
        super().__init__()
        self.heads, self.standard = attention.heads, standard
        dim = attention.query.in_features
        scale = (dim // self.heads) ** -0.5
        key, value = attention.key_value.weight.chunk(2)
        key_bias, value_bias = attention.key_value.bias.chunk(2)
        ask, ask_bias = scale * attention.query.weight, scale * attention.query.bias
        self.ask = linear(self.widened(ask), self.widened(ask_bias, 1.0))
        self.key = linear(self.widened(key), self.widened(key_bias))
        self.value = linear(value, value_bias)
        self.register_buffer("last", self.widened(torch.zeros(dim), 1.0))

    def widened(self, weight: Tensor, value: float = 0.0) -> Tensor:
        """Rows (h e, ...) of the heads to (h (e+1), ...): one of `value` at the end of each."""
        heads = weight.unflatten(0, (self.heads, -1))  # (h, e, ...)
        return torch.cat([heads, torch.full_like(heads[:, :1], value)], dim=1).flatten(0, 1)

    def forward(self, queries: Tensor, context: Context) -> Tensor:
        """(B, Q, d) to what the heads updates (B, Q, d)."""
        q = self.ask(queries)  # (B, Q, h (e+1))
        k = self.key(context.tokens) + context.bias.mT * self.last
        v = self.value(context.tokens)
        if not self.standard:
            return torch.onnx.ops.symbolic(
                "com.microsoft::MultiHeadAttention",
                (q, k, v),
                {"num_heads": self.heads, "scale": 1.0},
                dtype=q.dtype,
                shape=(*q.shape[:2], v.shape[2]),
                version=1,
            )
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v, scale=1.0).transpose(1, 2).flatten(2)


class MergedLocalLayer(nn.Module):
    """`LocalLayer` for inference: gains and last linear layers are one.

    Args:
        local: what to compute; attends to a view at least.
        standard: see `Reading`.
    """

    def __init__(self, local: LocalLayer, *, standard: bool) -> None:
        super().__init__()
        self.norm = cast(nn.LayerNorm, local.norm)
        self.intra = local.intra and Reading(local.intra, standard=standard)
        self.inter = local.inter and Reading(local.inter, standard=standard)
        both = ((local.intra, local.layer_scale_intra), (local.inter, local.layer_scale_inter))
        layers = [scaled(part.out, gain) for part, gain in both if part and gain is not None]
        self.out = linear(
            torch.cat([layer.weight for layer in layers], dim=1),
            torch.stack([layer.bias for layer in layers]).sum(dim=0),
        )
        norm, wide, gelu, narrow = local.feed_forward
        narrow = scaled(cast(nn.Linear, narrow), local.layer_scale_feed_forward)
        self.feed_forward = nn.Sequential(norm, wide, gelu, narrow)

    def forward(self, tokens: Tensor, intra: Context, inter: Sequence[Context]) -> Tensor:
        """Tokens (B, N, d) and the contexts to tokens (B, N, d)."""
        queries = self.norm(tokens)
        updates = []
        if self.intra is not None:
            updates.append(self.intra(queries, intra))
        if self.inter is not None:
            updates.append(self.inter(queries, concatenate_contexts(inter)))
        tokens = tokens + self.out(torch.cat(updates, dim=2))
        return tokens + self.feed_forward(tokens)


def merge(network: AGFNet, *, standard: bool) -> None:
    """Replace a network's local learning by what computes the same; it cannot learn any more.

    Args:
        network: in evaluation mode.
        standard: see `Reading`.
    """
    for m, local in enumerate(network.local_learning):
        assert isinstance(local, LocalLayer)
        if local.intra or local.inter:
            network.local_learning[m] = MergedLocalLayer(local, standard=standard)


def linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """A linear layer with these weights (out, in) and (out,)."""
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight.data, layer.bias.data = weight.detach(), bias.detach()
    return layer


def scaled(layer: nn.Linear, gain: Tensor) -> nn.Linear:
    """A linear layer whose outputs are multiplied by `gain` (out,)."""
    return linear(gain[:, None] * layer.weight, gain * layer.bias)
