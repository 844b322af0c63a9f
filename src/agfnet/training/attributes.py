"""Auxiliary targets: attributes of the cases that a network also predicts, in training only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agfnet.data.problems import near
from agfnet.data.table import Case
from agfnet.errors import ConfigError, DataError
from agfnet.training.processes import ALONE, World
from agfnet.types import Batch

MAX_VALUES = 10
"""Distinct numbers of a column, above which they are divided into quarters."""


class AttributeHeads(nn.Module):
    """A linear head for each attribute, on the input of the network's classification head.

    Args:
        head: the classification head of a network.
        targets: class of each attribute (N, A) for the N training cases; -1 where unknown.
    """

    targets: Tensor

    def __init__(self, *, head: nn.Module, targets: Tensor) -> None:
        super().__init__()
        width = next(part for part in head.modules() if isinstance(part, nn.Linear)).in_features
        self.heads = nn.ModuleList(
            nn.Linear(width, int(column.max()) + 1) for column in targets.unbind(dim=1)
        )
        self.register_buffer("targets", targets, persistent=False)
        self.features: Tensor | None = None
        head.register_forward_pre_hook(self.keep)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the features, whose graph cannot be copied."""
        return self.__dict__ | {"features": None}

    def keep(self, _: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Keep the input of the classification head for the next loss."""
        if self.training:
            self.features = inputs[0]

    def loss(self, batch: Batch, world: World = ALONE) -> Tensor:
        """Mean cross-entropy of the known attributes of a batch that the network has just seen.

        A mixed case counts by its share: the attributes of its partner are not in the batch.
        """
        assert self.features is not None
        targets = self.targets[batch.index]  # (B, A)
        share = torch.ones(len(targets), device=targets.device)
        if batch.share is not None:
            share = batch.share.float()
        total = self.features.new_zeros(())
        for head, target in zip(self.heads, targets.unbind(dim=1), strict=True):
            losses = F.cross_entropy(head(self.features), target, ignore_index=-1, reduction="none")
            total = total + (share * losses).sum()
        return world.mean(total, (targets >= 0).sum(), len(targets))


def attribute_targets(cases: Sequence[Case], names: Sequence[str]) -> Tensor:
    """Return the class of each attribute (N, A) of cases; -1 where the cell is empty.

    A value is a class. Numbers with many values are divided into quarters of the cases.

    Raises:
        ConfigError: no such column.
        DataError: a column has one value only.
    """
    return torch.stack([torch.from_numpy(column(cases, name)) for name in names], dim=1)


def column(cases: Sequence[Case], name: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the class of one attribute of cases (N,); -1 where the cell is empty."""
    columns = cases[0].attributes
    if name not in columns:
        raise ConfigError(f"data.attributes: no column {name!r}; {near(name, columns)}")
    cells = [case.attributes[name].strip() for case in cases]
    values = sorted({cell for cell in cells if cell})
    if len(values) < 2:
        raise DataError(
            f"column {name}: the training cases have {len(values)} value; data.attributes needs"
            " columns with two or more"
        )
    if len(values) > MAX_VALUES and (numbers := as_numbers(cells)) is not None:
        quarters = np.nanquantile(numbers, [0.25, 0.5, 0.75])
        classes = np.searchsorted(quarters, numbers, side="right")
        return np.where(np.isnan(numbers), -1, classes).astype(np.int64)
    index = {value: number for number, value in enumerate(values)} | {"": -1}
    return np.array([index[cell] for cell in cells], dtype=np.int64)


def as_numbers(cells: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """Return cells as numbers, nan where empty; None if one is no number."""
    try:
        return np.array([float(cell) if cell else np.nan for cell in cells])
    except ValueError:
        return None
