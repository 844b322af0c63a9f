"""Cases as batches of tensors, the same whatever the number of workers and after a resume."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from agfnet.config import Frames, ModalityConfig
from agfnet.data.cache import ImageCache, identity
from agfnet.data.frames import choices
from agfnet.data.preprocess import load, normalise
from agfnet.data.problems import near
from agfnet.data.sampling import EpochSampler, EvenBatches
from agfnet.data.table import Case
from agfnet.data.transforms import augment as augmented
from agfnet.errors import DataError, ImageError
from agfnet.types import Batch


@dataclass(frozen=True, eq=False)
class Sample:
    """One case, as tensors."""

    images: tuple[Tensor, ...]  # per modality (3, size, size), float32; zeros where missing
    present: tuple[bool, ...]  # per modality
    label: int  # index into the classes; -1 where unlabelled
    index: int  # position of the case in its dataset


class CasesDataset(Dataset[Sample]):
    """Cases with prepared images.

    Of several frames of one modality, training draws one per epoch, as the modality's `frames`
    says; otherwise the first is taken, or the middle one if `frames` says so (`agfnet.inference`
    uses all of them). What is drawn depends on seed, epoch, position of the case and
    modality alone.

    Args:
        cases: in the order of the positions.
        classes: names of the labels, in class order.
        modalities: how each modality is prepared, in order.
        size: side of the images, in pixels.
        mean: per RGB channel, on a 0 to 1 scale.
        std: likewise.
        augment: vary the images.
        training: draw one of several frames; as `augment` if unset.
        seed: of everything drawn.
        cache: where prepared images are kept; without it every file is decoded every time.

    Raises:
        DataError: there are no cases, or a case has a label that is not a class.
    """

    def __init__(
        self,
        *,
        cases: Sequence[Case],
        classes: Sequence[str],
        modalities: Mapping[str, ModalityConfig],
        size: int,
        mean: Sequence[float],
        std: Sequence[float],
        augment: bool,
        training: bool | None = None,
        seed: int = 0,
        cache: ImageCache | None = None,
    ) -> None:
        if not cases:
            raise DataError("there are no cases")
        self._modalities = tuple(modalities.values())
        self._size = size
        self._mean, self._std = tuple(mean), tuple(std)
        self._augment = augment
        self._seed = seed
        self._epoch = 0
        training = augment if training is None else training
        self._policies: list[Frames] = [
            config.frames if training or config.frames == "middle" else "first"
            for config in self._modalities
        ]
        numbers = {name: number for number, name in enumerate(classes)} | {"": -1}
        self._labels = [_number(case, numbers) for case in cases]
        self._files = [
            [
                case.images[name][: 1 if policy == "first" else None]
                for name, policy in zip(modalities, self._policies, strict=True)
            ]
            for case in cases
        ]
        self._expanded = np.zeros((len(cases), len(modalities)), dtype=np.bool_)
        self._identities = [identity(size=size, modality=config) for config in self._modalities]
        self._cache = cache

    def __len__(self) -> int:
        return len(self._files)

    def images(self) -> Iterator[tuple[Path, bytes]]:
        """Yield every image that the cache may be asked for: its file and its `identity`."""
        for case in self._files:
            for files, key in zip(case, self._identities, strict=True):
                yield from ((file, key) for file in files)

    @property
    def sample_bytes(self) -> int:
        """Size of the images of one case, as float32."""
        return len(self._modalities) * 3 * self._size**2 * 4

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of plain positions; a loader sends (epoch, position) pairs instead."""
        self._epoch = epoch

    def __getitem__(self, index: int | tuple[int, int]) -> Sample:
        """Return the case at a position, or at a pair of epoch and position.

        Raises:
            ImageError: one of its files is not a readable image.
        """
        epoch, position = index if isinstance(index, tuple) else (self._epoch, index)
        files = self._files[position]
        return Sample(
            images=tuple(self._image(epoch, position, m) for m in range(len(files))),
            present=tuple(map(bool, files)),
            label=self._labels[position],
            index=position,
        )

    def __getitems__(self, pairs: Sequence[tuple[int, int]]) -> list[Sample] | ImageError:
        """Return the samples of a batch, or the fault of one of its images, for a loader."""
        try:
            return [self[pair] for pair in pairs]
        except ImageError as error:
            return error

    def _image(self, epoch: int, position: int, modality: int) -> Tensor:
        frames = self._frames(position, modality)
        if not frames:
            return torch.zeros(3, self._size, self._size)
        config = self._modalities[modality]
        rng = np.random.default_rng((self._seed, epoch, position, modality))
        file = frames[int(rng.integers(len(frames)))]
        make = partial(load, file, size=self._size, modality=config)
        if self._cache is None:
            pixels = make()
        else:
            pixels = self._cache.image(file, self._identities[modality], make)
        if self._augment:
            pixels = augmented(pixels, kind=config.modality_type, rng=rng)
        return torch.from_numpy(normalise(pixels, mean=self._mean, std=self._std))

    def _frames(self, position: int, modality: int) -> tuple[Path, ...]:
        """Return the frames to draw from; files are opened to count frames at the first use."""
        files = self._files[position]
        if not self._expanded[position, modality]:
            files[modality] = choices(files[modality], self._policies[modality])
            self._expanded[position, modality] = True
        return files[modality]


def _number(case: Case, numbers: Mapping[str, int]) -> int:
    try:
        return numbers[case.label]
    except KeyError:
        raise DataError(
            f"case {case.lesion_id!r} (row {case.row}): the label {case.label!r} is not a class; "
            + near(case.label, filter(None, numbers))
        ) from None


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples."""
    return Batch(
        images=tuple(map(torch.stack, zip(*(sample.images for sample in samples), strict=True))),
        present=torch.tensor([sample.present for sample in samples]),
        labels=torch.tensor([sample.label for sample in samples]),
        index=torch.tensor([sample.index for sample in samples]),
    )


class _Loader(DataLoader[Sample]):
    """Raises the fault of an image here; a worker would put its traceback into the text."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        for batch in super().__iter__():
            if isinstance(batch, bytes):
                batch = pickle.loads(batch)  # of a worker of this process
            if isinstance(batch, ImageError):
                # a new error: a frame that holds the error that it raises is freed by the collector
                # only, and torch then waits five seconds for each worker to end
                raise ImageError(str(batch))
            yield batch


def _collate_unless_fault(samples: Sequence[Sample] | ImageError) -> Batch | ImageError:
    return samples if isinstance(samples, ImageError) else collate(samples)


def _collate_without_shared_memory(samples: Sequence[Sample] | ImageError) -> bytes | ImageError:
    batch = _collate_unless_fault(samples)
    return batch if isinstance(batch, ImageError) else pickle.dumps(batch)


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
    dataset: CasesDataset, *, batch_size: int, shuffle: bool, workers: int, seed: int
) -> DataLoader[Sample]:
    """Batches of a dataset.

    Args:
        dataset: the cases.
        batch_size: largest number of cases in a batch; see `EvenBatches`.
        shuffle: another order in every epoch.
        workers: processes that prepare images; 0 prepares them in this one.
        seed: of the order.

    Returns:
        A loader of `Batch`. Without Lightning, a training loop calls
        `batch_sampler.sampler.set_epoch(epoch)`.
    """
    pipe = workers > 0 and not shared_memory_suffices(batch_size * dataset.sample_bytes, workers)
    sampler = EpochSampler(count=len(dataset), shuffle=shuffle, seed=seed)
    return _Loader(
        dataset,
        batch_sampler=EvenBatches(sampler=sampler, batch_size=batch_size),
        num_workers=workers,
        collate_fn=_collate_without_shared_memory if pipe else _collate_unless_fault,
        persistent_workers=workers > 0,
        # or else each iteration would draw from the generator that the network draws from
        generator=torch.Generator().manual_seed(seed),
    )
