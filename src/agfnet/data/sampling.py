"""Order of the cases in each epoch, and their batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler


class EpochSampler(Sampler[tuple[int, int]]):
    """Pairs of epoch and position, in an order that depends on seed and epoch alone.

    The epoch travels with the position because workers that outlive an epoch hold a copy of the
    dataset that no `set_epoch` reaches. Lightning calls `set_epoch` at the start of each epoch.

    Args:
        count: number of cases.
        shuffle: new order in each epoch; otherwise that of the dataset.
        seed: of the order.
        labels: class of each case, to draw each class equally often, with replacement; each case
            once if None.
    """

    def __init__(
        self, *, count: int, shuffle: bool, seed: int, labels: Sequence[int] | None = None
    ) -> None:
        self._count = count
        self._weights: NDArray[np.float64] | None = None
        if labels is not None:
            _, classes, counts = np.unique(labels, return_inverse=True, return_counts=True)
            self._weights = 1 / (len(counts) * counts[classes])
        self._shuffle = shuffle
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which decides the order of the next iteration and the dataset's draws."""
        self._epoch = epoch

    @property
    def epoch(self) -> int:
        """The epoch that was set."""
        return self._epoch

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.arange(self._count)
        rng = np.random.default_rng((self._seed, self._epoch))
        if self._weights is not None:
            order = rng.choice(self._count, size=self._count, p=self._weights)
        elif self._shuffle:
            rng.shuffle(order)
        return iter([(self._epoch, int(position)) for position in order])


class EvenBatches(Sampler[list[tuple[int, int]]]):
    """Batches of a sampler whose sizes differ by one at most, so that no case is left out.

    A last batch of one case, on which batch normalisation cannot train, only occurs with a batch
    size of 1 or a single case; with batches of two, an odd case joins another batch.

    Of several processes, each takes an equal part of what follows.

    Args:
        sampler: the cases.
        batch_size: largest number of cases in a batch, over all processes.
        parts: for gradient accumulation, number of parts into which each batch is divided; these
            are the batches that the loader sees. There is a case in each.
        rank: number of this process, from 0.
        processes: number of processes; there must be two cases for each in every part.
    """

    def __init__(
        self,
        *,
        sampler: EpochSampler,
        batch_size: int,
        parts: int = 1,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self._rank = rank
        self._processes = processes
        self.sampler = sampler  # the name under which Lightning looks for set_epoch
        self.start = 0  # batches of the next iteration that are skipped
        count = len(sampler)
        self._batches = -(-count // batch_size)
        if batch_size > 1 and 1 < count < 2 * self._batches:
            self._batches -= 1
        self.parts = max(1, min(parts, count // max(1, self._batches)))
        self._batches *= self.parts

    def __len__(self) -> int:
        return self._batches

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        pairs = list(self.sampler)
        bounds = [len(pairs) * i // self._batches for i in range(self._batches + 1)]
        for start, stop in itertools.pairwise(bounds[self.start :]):
            yield pairs[start + self._rank : stop : self._processes]
