"""Cases as tensors, the same whatever the number of workers and after a resume."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from agfnet.config import Frames, ModalityConfig
from agfnet.data.cache import ImageCache, identity
from agfnet.data.features import (
    FeatureCache,
    Variant,
    digest_pixels,
    stack_maps,
    variant_generator,
)
from agfnet.data.frames import choices, expand
from agfnet.data.preprocess import load, normalise
from agfnet.data.problems import near
from agfnet.data.rand_augment import rand_augment as apply_policy
from agfnet.data.table import Case
from agfnet.data.transforms import augment as augmented
from agfnet.errors import DataError, ImageError


@dataclass(frozen=True, eq=False)
class Sample:
    """One case, as tensors."""

    images: tuple[Tensor, ...]  # per modality (3, size, size), float32; zeros where missing;
    # or (D,), the feature maps of a frozen backbone in one row
    present: tuple[bool, ...]  # per modality
    label: int  # index into the classes; -1 where unlabelled
    index: int  # position of the case in its dataset
    originals: tuple[Tensor, ...] = ()  # the images, where `images` may hold feature maps


class Read(NamedTuple):
    """Samples of a batch, and the faults of images that cannot be read."""

    samples: list[Sample]
    faults: tuple[str, ...]


class _Draw(NamedTuple):
    """Image of a modality that was drawn for a case."""

    file: Path
    variant: Variant
    rng: np.random.Generator  # of the augmentation, if there are no numbered variants


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
        variants: number of augmented variants of each image, which depend on its content and their
            number alone; one is drawn. 0: the augmentation is drawn from all that there can be.
        features: where feature maps are kept. A batch then holds the maps of a modality instead of
            its images if those of all its images are kept.
        originals: return the images as well.
        rand_augment: number and strength of the operations of RandAugment, which comes first.

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
        variants: int = 0,
        features: FeatureCache | None = None,
        originals: bool = False,
        rand_augment: tuple[int, int] | None = None,
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
        self._all_files = [[case.images[name] for name in modalities] for case in cases]
        self._training = training
        self._expanded = np.zeros((len(cases), len(modalities)), dtype=np.bool_)
        self._identities = [identity(size=size, modality=config) for config in self._modalities]
        self._cache = cache
        self._numbers = range(variants if augment else 0)
        self.features = features
        self._originals = originals
        self._rand_augment: Callable[..., NDArray[np.uint8]] | None = None
        if augment and rand_augment is not None:
            operations, magnitude = rand_augment
            self._rand_augment = partial(apply_policy, operations=operations, magnitude=magnitude)
        self.digests: dict[tuple[int, Path], bytes] = {}  # of prepared images

    @property
    def labels(self) -> Sequence[int]:
        """Index of the class of each case; -1 where unlabelled."""
        return self._labels

    def __len__(self) -> int:
        return len(self._files)

    def images(self) -> Iterator[tuple[Path, bytes]]:
        """Yield every image that the cache may be asked for: its file and its `identity`."""
        for case in self._files:
            for files, key in zip(case, self._identities, strict=True):
                yield from ((file, key) for file in files)

    @property
    def sample_bytes(self) -> int:
        """Size of the images of one case, as float32, or of their feature maps if that is more."""
        width = 0 if self.features is None else self.features.width
        return len(self._modalities) * max(3 * self._size**2, width) * 4

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of plain positions; a loader sends (epoch, position) pairs instead."""
        self._epoch = epoch

    @property
    def variants(self) -> tuple[Variant, ...]:
        """Variants of every image, if their number is limited."""
        return tuple(self._numbers) if self._augment else (None,)

    def files(self) -> Iterator[tuple[int, Path]]:
        """Yield every image that is used: its modality, and its file or frame of a file.

        In training these are the images that may be drawn, otherwise all frames, as in evaluation.

        Raises:
            ImageError: the frames of a file cannot be counted.
        """
        for position, case in enumerate(self._all_files):
            for m, files in enumerate(case):
                frames = self._frames(position, m) if self._training else expand(files)
                yield from ((m, frame) for frame in frames)

    def __getitem__(self, index: int | tuple[int, int]) -> Sample:
        """Return the case at a position, or at a pair of epoch and position.

        Raises:
            ImageError: one of its files is not a readable image.
        """
        return self._samples([index if isinstance(index, tuple) else (self._epoch, index)])[0]

    def __getitems__(self, pairs: Sequence[tuple[int, int]]) -> Read:
        """Return the samples of a batch whose images can be read, for a loader."""
        try:
            return Read(self._samples(pairs), ())
        except ImageError:
            return self._readable(pairs)

    def _readable(self, pairs: Sequence[tuple[int, int]]) -> Read:
        faults, readable = [], []
        for pair in pairs:
            try:
                self._samples([pair])
            except ImageError as error:
                faults.append(str(error))
            else:
                readable.append(pair)
        return Read(self._samples(readable) if readable else [], tuple(faults))

    def _samples(self, pairs: Sequence[tuple[int, int]]) -> list[Sample]:
        draws = [
            [self._draw(epoch, position, m) for epoch, position in pairs]
            for m in range(len(self._modalities))
        ]  # M x B
        maps = [self._maps(m, drawn) for m, drawn in enumerate(draws)]
        images = [
            [] if row is not None and not self._originals else [self._image(m, d) for d in drawn]
            for m, (row, drawn) in enumerate(zip(maps, draws, strict=True))
        ]
        inputs = [image if row is None else row for image, row in zip(images, maps, strict=True)]
        return [
            Sample(
                images=tuple(column[i] for column in inputs),
                present=tuple(map(bool, self._files[position])),
                label=self._labels[position],
                index=position,
                originals=tuple(column[i] for column in images) if self._originals else (),
            )
            for i, (_, position) in enumerate(pairs)
        ]

    def _draw(self, epoch: int, position: int, modality: int) -> _Draw | None:
        frames = self._frames(position, modality)
        if not frames:
            return None
        rng = np.random.default_rng((self._seed, epoch, position, modality))
        file = frames[int(rng.integers(len(frames)))]
        variant = int(rng.integers(len(self._numbers))) if self._numbers else None
        return _Draw(file, variant, rng)

    def _maps(self, modality: int, draws: Sequence[_Draw | None]) -> Tensor | None:
        """Return the maps (B, D) of the images that were drawn, if all of them are kept."""
        if self.features is None:
            return None
        rows = (
            self.features.read(modality, self.digest((modality, draw.file)), draw.variant)
            for draw in draws
            if draw is not None
        )
        maps = stack_maps(rows, np.array([draw is not None for draw in draws]))
        return None if maps is None else torch.from_numpy(maps)

    def _image(self, modality: int, draw: _Draw | None) -> Tensor:
        if draw is None:
            return torch.zeros(3, self._size, self._size)
        return self.image(modality, draw.file, draw.variant, draw.rng)

    def image(
        self,
        modality: int,
        file: Path,
        variant: Variant,
        rng: np.random.Generator | None = None,
    ) -> Tensor:
        """Return an image (3, size, size) for the network.

        Args:
            modality: its position.
            file: the file, or a frame of it.
            variant: augmented variant; None: the image itself, or any augmentation drawn by `rng`.
            rng: random number generator.
        """
        pixels = self._pixels(modality, file)
        if variant is not None:
            rng = variant_generator(self.digest((modality, file)), variant)
        if self._augment and rng is not None:
            kind = self._modalities[modality].modality_type
            if self._rand_augment is not None:
                pixels = self._rand_augment(pixels, kind=kind, rng=rng)
            pixels = augmented(pixels, kind=kind, rng=rng)
        return torch.from_numpy(normalise(pixels, mean=self._mean, std=self._std))

    def digest(self, key: tuple[int, Path]) -> bytes:
        """Return the digest of a prepared image of a modality; it is read once only."""
        if key not in self.digests:
            self.digests[key] = digest_pixels(self._pixels(*key))
        return self.digests[key]

    def _pixels(self, modality: int, file: Path) -> NDArray[np.uint8]:
        make = partial(load, file, size=self._size, modality=self._modalities[modality])
        if self._cache is None:
            return make()
        return self._cache.image(file, self._identities[modality], make)

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
