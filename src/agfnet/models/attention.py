"""Attention, feed-forward layer and LayerScale: the primitives of the networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CrossAttention(nn.Module):
    """Multi-head attention of queries over a context.

    Args:
        dim: width d of queries and context.
        heads: attention heads; divides `dim`.
    """

    def __init__(self, *, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, queries: Tensor, context: Tensor, bias: Tensor | None = None) -> Tensor:
        """(B, Q, d) and (B, K, d) to (B, Q, d); `bias` (B, Q or 1, K) is added to the scores."""
        q = self.split_heads(self.query(queries))  # (B, h, Q, d/h)
        k, v = map(self.split_heads, self.key_value(context).chunk(2, dim=-1))  # (B, h, K, d/h)
        if bias is not None:
            bias = bias.unsqueeze(1).to(q.dtype)  # (B, 1, Q or 1, K), the same for every head
        return self.out(attend(q, k, v, bias).transpose(1, 2).flatten(2))

    def attention_weights(
        self, queries: Tensor, context: Tensor, bias: Tensor | None = None
    ) -> Tensor:
        """Weights (B, h, Q, K) of the values for the arguments of `forward`.

        They are computed again because `scaled_dot_product_attention` does not return them.
        """
        q = self.split_heads(self.query(queries))
        k = self.split_heads(self.key_value(context).chunk(2, dim=-1)[0])
        scores = q @ k.mT / q.shape[-1] ** 0.5
        if bias is not None:
            scores = scores + bias.unsqueeze(1)
        return scores.softmax(dim=-1)

    def split_heads(self, x: Tensor) -> Tensor:
        """(B, N, d) to (B, heads, N, d/heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """(B, h, Q, e) and (B, h, K, e) to (B, h, Q, e); `bias` (B, 1, Q or 1, K) adds to the scores.

    A mask that requires a gradient would put PyTorch on a path that holds all scores (B, h, Q, K)
    in memory and takes twice the time. A bias that all queries share is therefore passed, while it
    requires a gradient, as one more channel of the keys, which each query reads with weight 1.
    """
    if bias is None or bias.shape[2] > 1 or not bias.requires_grad:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    width = q.shape[-1]
    q = torch.cat([q * width**-0.5, torch.ones_like(q[..., :1])], dim=-1)
    k = torch.cat([k, bias.mT.expand(-1, k.shape[1], -1, -1)], dim=-1)
    return F.scaled_dot_product_attention(q, k, F.pad(v, (0, 1)), scale=1.0)[..., :width]


class FeedForward(nn.Sequential):
    """LayerNorm and two linear layers with GELU between them."""

    def __init__(self, *, dim: int, ratio: int = 2) -> None:
        super().__init__(
            nn.LayerNorm(dim), nn.Linear(dim, ratio * dim), nn.GELU(), nn.Linear(ratio * dim, dim)
        )


def layer_scale(dim: int, init: float = 1.0) -> nn.Parameter:
    """LayerScale: a learned weight (d,) for each channel of a residual branch.

    Touvron et al., 2021, arXiv:2103.17239. With a small `init` the branches are small at the start,
    and a short training leaves them so.
    """
    return nn.Parameter(torch.full((dim,), init))
