"""The processes of one training: their ranks, and what only the first of them does.

They are started by torchrun, or anything else that sets its environment variables (`RANK`,
`WORLD_SIZE`, `LOCAL_RANK`, `LOCAL_WORLD_SIZE`, `MASTER_ADDR`, `MASTER_PORT`), and by
`agfnet.training.launch`.
"""

from __future__ import annotations

import atexit
import gc
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from agfnet.errors import AgfnetError
from agfnet.parallel import threads_each

T = TypeVar("T")
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
WAIT = timedelta(days=1)
"""Longest time that a process waits for the others; what started them ends all if one fails."""


@dataclass(frozen=True)
class World:
    """The place of this process among those that train together."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    """Number of processes on this machine."""

    @property
    def first(self) -> bool:
        """True for the process that writes files."""
        return self.rank == 0

    @property
    def nodes(self) -> int:
        """Number of machines."""
        return self.size // self.local_size

    def on_first(self, action: Callable[[], T]) -> T:
        """Call a function in the first process, and return its result in all.

        Raises:
            AgfnetError: what the function raises, in the first process.
            SystemExit: in the others; the first one reports the error.
        """
        if self.size == 1:
            return action()
        outcome: list[Any] = [None, None]
        error: AgfnetError | None = None
        if self.first:
            try:
                outcome[0] = action()
            except AgfnetError as raised:
                error = raised
                outcome[1] = type(raised).__name__
        distributed.broadcast_object_list(outcome, src=0)
        if error is not None:
            raise error
        if outcome[1] is not None:
            raise SystemExit(1)
        result: T = outcome[0]
        return result

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of a tensor over the processes."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def mean(self, total: Tensor, number: Tensor, cases: int) -> Tensor:
        """Return total / number, where both are sums over some of the cases of this process.

        With several processes, it is weighted so that the mean over the processes by their number
        of cases, which the training takes, is the sum of all totals by the sum of all numbers.

        Args:
            total: a sum of losses.
            number: how many losses were added up; 0 counts as 1.
            cases: number of cases of this process in the batch.
        """
        if self.size == 1:
            return total / number.clamp_min(1)
        numbers, batch = self.sum(torch.stack([number, number.new_tensor(cases)]))
        return total * batch / (cases * numbers.clamp_min(1))

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Set tensors to those of the first process."""
        if self.size > 1:
            for tensor in tensors:
                distributed.broadcast(tensor, src=0)

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes, in their order."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        distributed.all_gather_object(values, value)
        return values

    def cases(self, index: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        """Return the values of the cases of all processes, in the order of their dataset.

        Args:
            index: positions of the cases of this process in the dataset, (N,).
            values: what is returned of all cases; each is (N, ...).
        """
        if self.size == 1:
            return values
        parts = self.gather([tensor.cpu() for tensor in (index, *values)])
        order, *gathered = (torch.cat(part) for part in zip(*parts, strict=True))
        order = order.argsort()
        return tuple(part[order].to(index.device) for part in gathered)


ALONE = World()


def started_together() -> bool:
    """Check that this process was started as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and all(v in os.environ for v in VARIABLES)


def join() -> World:
    """Join the other processes, if this one was started as one of several."""
    if not started_together():
        return ALONE
    world = World(*(int(os.environ[name]) for name in VARIABLES))
    if not distributed.is_initialized():
        cuda = torch.cuda.is_available()
        if cuda:
            torch.cuda.set_device(world.local_rank)
        else:
            torch.set_num_threads(threads_each(world.local_size))
        distributed.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=WAIT)
        atexit.register(_leave)
    return world


def _leave() -> None:
    """Leave the other processes.

    A sharded network that is only released after this, while Python ends, can abort the process.
    """
    gc.collect()
    distributed.destroy_process_group()
