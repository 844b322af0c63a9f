"""Batches that do not fit into memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from agfnet.data.dataset import CasesDataset
from agfnet.training.memory import accumulation, advice, is_out_of_memory, largest_batch
from agfnet.types import Batch

from .ramp import imageless


class SmallMemory(nn.Module):
    """A task for which only batches of some cases fit into memory."""

    def __init__(self, cases: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.register_buffer("seen", torch.zeros(()))
        self.cases = cases

    def forward(self, batch: Batch, progress: float, *_: Any) -> dict[str, Tensor]:
        if len(batch.labels) > self.cases:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")
        self.seen += torch.rand(())  # as statistics of batch normalisation, and dropout
        return {"loss": self.weight * 1.0}


@pytest.fixture
def dataset() -> CasesDataset:
    """Thirty cases without images."""
    return imageless(30)


@pytest.mark.parametrize(
    ("fits", "largest", "parts"), [(99, 20, 1), (9, 5, 4), (5, 5, 4), (0, 0, 20)]
)
def test_the_largest_batch_that_fits(
    dataset: CasesDataset, fits: int, largest: int, parts: int
) -> None:
    task = SmallMemory(fits)
    before = torch.get_rng_state()
    assert largest_batch(task, dataset, 20) == largest
    assert accumulation(task, dataset, 20) == parts
    assert task.weight.grad is None  # the task and the generator are as they were
    assert task.seen == 0
    assert torch.equal(torch.get_rng_state(), before)


def test_the_error_says_what_fits(dataset: CasesDataset) -> None:
    text = advice(SmallMemory(9), dataset, 20)
    assert "20 cases at once; 5 fit." in text
    assert "--optim.accumulate 4" in text
    assert "not even one fits; set a smaller --data.size" in advice(SmallMemory(0), dataset, 20)


def test_other_errors_are_not_about_memory(dataset: CasesDataset) -> None:
    allocator = "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"
    assert is_out_of_memory(RuntimeError(allocator))
    assert not is_out_of_memory(RuntimeError("shapes cannot be multiplied"))

    class Wrong(SmallMemory):
        def forward(self, batch: Batch, progress: float, *_: Any) -> dict[str, Tensor]:
            raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        largest_batch(Wrong(1), dataset, 20)
