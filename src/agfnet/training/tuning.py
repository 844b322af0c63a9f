"""Parts of a network that are set on the validation split after training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn
from torch.utils.data import DataLoader

from agfnet.types import Batch


@runtime_checkable
class Tunable(Protocol):
    """A network that needs labelled validation cases to be complete."""

    def tune(self, batches: Iterable[Batch]) -> None:
        """Set a part of its state, which the bundle then holds."""


def tune(model: nn.Module, val: DataLoader[Any]) -> None:
    """Tune the network on the validation split if it is `Tunable`."""
    if isinstance(model, Tunable):
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model.to(device).tune(batch.to(device) for batch in val)
