"""Batches of a dataset for training, from any position of an epoch."""

from __future__ import annotations

import logging
import pickle
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader

from agfnet.data.dataset import CasesDataset, Read, Sample
from agfnet.data.sampling import EpochSampler, EvenBatches
from agfnet.errors import ImageError
from agfnet.types import Batch


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples."""
    images, originals = (
        tuple(map(torch.stack, zip(*columns, strict=True)))
        for columns in ([s.images for s in samples], [s.originals for s in samples])
    )
    return Batch(
        images=images,
        originals=originals,
        present=torch.tensor([sample.present for sample in samples]),
        labels=torch.tensor([sample.label for sample in samples]),
        index=torch.tensor([sample.index for sample in samples]),
    )


class _Loader(DataLoader[Sample]):
    """Batches, from any position of an epoch, without the cases whose images cannot be read.

    It raises the fault of an image here; a worker would put its traceback into the text.
    """

    batch_sampler: EvenBatches
    max_unreadable = 0
    _position = _start = (0, 0)  # epoch, and number of its batches before the position
    unreadable: tuple[str, ...] = ()
    """Faults of the images that could not be read so far."""

    def state_dict(self) -> dict[str, Any]:
        """Return the epoch, the number of its batches so far, and the faults, for a checkpoint."""
        epoch, batches = self._position
        return {"epoch": epoch, "batches": batches, "unreadable": list(self.unreadable)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Begin the epoch of a checkpoint after its last batch; other epochs begin as always."""
        self._start = state_dict["epoch"], state_dict["batches"]
        self.unreadable = tuple(state_dict["unreadable"])

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        epoch = self.batch_sampler.sampler.epoch
        start = self._start[1] if self._start[0] == epoch else 0
        self.batch_sampler.start = start
        for number, (content, faults) in enumerate(super().__iter__(), start=start + 1):
            self.add_unreadable(faults, none_left=content is None)
            self._position = epoch, number
            # bytes are of a worker of this process
            yield pickle.loads(content) if isinstance(content, bytes) else content

    def add_unreadable(self, faults: Sequence[str], *, none_left: bool = False) -> None:
        """Add images that could not be read, here or in another process.

        Raises:
            ImageError: there are too many, or no case of a batch is left.
        """
        for fault in faults:
            if fault not in self.unreadable:
                self.unreadable += (fault,)
                if self.max_unreadable:
                    logging.getLogger(__name__).warning("%s; its case is left out", fault)
        if len(self.unreadable) > self.max_unreadable or none_left:
            # a new error: a frame that holds the error that it raises is freed by the collector
            # only, and torch then waits five seconds for each worker to end
            cure = (
                f"more than {self.max_unreadable} unreadable images (fit.max_unreadable): repair"
                " them, and continue with --resume",
            ) * bool(self.max_unreadable)
            raise ImageError("\n".join(self.unreadable + cure))


def _collate_readable(read: Read) -> tuple[Batch | None, tuple[str, ...]]:
    return collate(read.samples) if read.samples else None, read.faults


def _collate_without_shared_memory(read: Read) -> tuple[bytes | None, tuple[str, ...]]:
    batch, faults = _collate_readable(read)
    return None if batch is None else pickle.dumps(batch), faults


def shared_memory_suffices(batch_bytes: int, workers: int) -> bool:
    """Check that /dev/shm, where it exists, has room for the batches that workers keep ready.

    Containers have 64 MB by default. A worker that finds it full would wait forever.
    """
    try:
        free = shutil.disk_usage("/dev/shm").free
    except OSError:
        return True
    # two batches for each worker and the one in use, of training and of validation; doubled
    return free > 4 * (2 * workers + 1) * batch_bytes


def loader(
    dataset: CasesDataset,
    *,
    batch_size: int,
    shuffle: bool,
    workers: int,
    seed: int,
    balanced: bool = False,
    parts: int = 1,
    max_unreadable: int = 0,
    rank: int = 0,
    processes: int = 1,
) -> DataLoader[Sample]:
    """Batches of a dataset.

    Args:
        dataset: the cases.
        batch_size: largest number of cases in a batch; see `EvenBatches`.
        shuffle: another order in every epoch.
        workers: processes that prepare images; 0 prepares them in this one.
        seed: of the order.
        balanced: draw each class equally often, with replacement.
        parts: parts of a batch, for gradient accumulation; see `EvenBatches`.
        max_unreadable: number of images that may be unreadable, whose cases are left out.
        rank: number of this process, from 0, of those that train together.
        processes: their number; each takes an equal part of every batch.

    Returns:
        A loader of `Batch`. Without Lightning, a training loop calls
        `batch_sampler.sampler.set_epoch(epoch)`.
    """
    pipe = workers > 0 and not shared_memory_suffices(batch_size * dataset.sample_bytes, workers)
    collated: Any = _collate_without_shared_memory if pipe else _collate_readable
    labels = dataset.labels if balanced else None
    sampler = EpochSampler(count=len(dataset), shuffle=shuffle, seed=seed, labels=labels)
    result = _Loader(
        dataset,
        batch_sampler=EvenBatches(
            sampler=sampler, batch_size=batch_size, parts=parts, rank=rank, processes=processes
        ),
        num_workers=workers,
        collate_fn=collated,
        persistent_workers=workers > 0,
        # or else each iteration would draw from the generator that the network draws from
        generator=torch.Generator().manual_seed(seed),
    )
    result.max_unreadable = max_unreadable
    return result
