"""Batches that do not fit into memory: the largest one that does, and gradient accumulation."""

from __future__ import annotations

import gc
import math

import torch
from torch import nn

from agfnet.data.dataset import CasesDataset
from agfnet.data.loader import collate

PHRASES = ("out of memory", "not enough memory", "can't allocate memory")
"""Parts of the messages of PyTorch on GPUs, on Windows and on Linux."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory is used up."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        phrase in str(error).lower() for phrase in PHRASES
    )


def largest_batch(task: nn.Module, dataset: CasesDataset, size: int) -> int:
    """Return the largest of `size`, `size` / 2, ... cases that can be trained on at once.

    Each is tried with a forward and a backward pass, next to tensors of the size of the optimiser's
    state. The task is left as it was.

    Args:
        task: the network and its losses.
        dataset: training cases.
        size: largest number of cases.

    Returns:
        The number of cases; 0 if not even one case fits.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    buffers = {name: value.clone() for name, value in task.named_buffers()}
    size = min(size, len(dataset))
    try:
        with torch.random.fork_rng():
            while size and not _fits(task, dataset, size, device):
                size //= 2
    finally:
        task.to("cpu")
        for name, value in task.named_buffers():
            value.copy_(buffers[name])
    return size


def _fits(task: nn.Module, dataset: CasesDataset, size: int, device: torch.device) -> bool:
    try:
        task.to(device)
        state = [torch.empty_like(p) for p in task.parameters() for _ in range(2)]  # of AdamW
        batch = collate([dataset[i] for i in range(size)]).to(device)
        task(batch, 1.0)["loss"].backward()
        del state
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return False
    finally:
        task.zero_grad(set_to_none=True)
        _release()
    return True


def _release() -> None:
    """Give memory of a GPU back; that of the CPU is free with the last reference."""
    if torch.cuda.is_available():
        gc.collect()
        torch.cuda.empty_cache()


def accumulation(task: nn.Module, dataset: CasesDataset, size: int) -> int:
    """Return the smallest number of parts of a batch, 1, 2, 4, ..., with which it fits."""
    return math.ceil(size / max(1, largest_batch(task, dataset, size)))


def advice(task: nn.Module, dataset: CasesDataset, size: int) -> str:
    """Return the end of an error: how many cases fit, and what to set.

    Args:
        task: the network and its losses.
        dataset: training cases.
        size: number of cases that did not fit.
    """
    _release()
    fits = largest_batch(task, dataset, size)
    if not fits:
        return (
            f"out of memory with {size} cases at once, and not even one fits; set a smaller"
            " --data.size, or another --model.backbone.name"
        )
    if fits == size:
        return f"out of memory with {size} cases at once, which fit now; continue with --resume"
    return (
        f"out of memory with {size} cases at once; {fits} fit. Train under another --name with"
        f" --optim.accumulate {math.ceil(size / fits)}, which computes each batch in parts, or with"
        f" --optim.batch_size {fits}"
    )
