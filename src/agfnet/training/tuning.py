"""What a network sets on the validation split when its training is over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn
from torch.utils.data import DataLoader

from agfnet.types import Batch


@runtime_checkable
class Tunable(Protocol):
    """A network that is not complete without a look at labelled validation cases."""

    def tune(self, batches: Iterable[Batch]) -> None:
        """Set a part of its state, which the bundle then holds."""


def tune(model: nn.Module, val: DataLoader[Any]) -> None:
    """Let the network see the validation split, if it asks for that."""
    if isinstance(model, Tunable):
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model.to(device).tune(batch.to(device) for batch in val)
