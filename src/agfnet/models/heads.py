"""Classification heads."""

from __future__ import annotations

from torch import nn


class Head(nn.Sequential):
    """LayerNorm, dropout and one linear layer: (B, d) to (B, C)."""

    def __init__(self, *, dim: int, classes: int, dropout: float) -> None:
        super().__init__(nn.LayerNorm(dim), nn.Dropout(dropout), nn.Linear(dim, classes))
