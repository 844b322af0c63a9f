"""Frame combinations of cases, in batches whose images are decoded while the network works."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from agfnet.bundle import BundleConfig
from agfnet.data.frames import expand
from agfnet.errors import ImageError

Array = np.ndarray[Any, Any]
Images = Mapping[str, Sequence[Path]]  # image files per modality
T = TypeVar("T")


class Prepared(NamedTuple):
    """A prepared image, and what is known of it."""

    pixels: Array  # (S, S, 3) uint8
    distance: float | None  # from the training images, if their statistics are known
    hints: tuple[str, ...] = ()  # on its quality, if that is measured


Decoded = dict[tuple[str, Path], "Future[Prepared]"]
"""The images of a case, by modality and path."""


@dataclass(frozen=True)
class Combination:
    """A frame combination: at most one image of each modality, for one forward pass."""

    images: dict[str, Path]
    last: bool  # of its case
    unreadable: ImageError | None = None  # the frames of the case could not be counted
    decoded: dict[str, Future[Prepared]] = field(default_factory=dict)

    def fault(self) -> ImageError | None:
        """Wait until all images are decoded; return the first error."""
        for image in self.decoded.values():
            error = image.exception()
            if isinstance(error, ImageError):
                return error
        return self.unreadable

    def distances(self) -> list[tuple[str, float]]:
        """Return modality and distance of each image whose distance is known."""
        known = ((name, image.result().distance) for name, image in self.decoded.items())
        return [(name, distance) for name, distance in known if distance is not None]

    def hints(self) -> dict[tuple[str, Path], tuple[str, ...]]:
        """Return the hints on the quality of each image, by modality and path."""
        return {(name, self.images[name]): i.result().hints for name, i in self.decoded.items()}


def combine(cases: Iterable[Images], modalities: Iterable[str]) -> Iterator[Combination]:
    """Yield the frame combinations of every case; an empty one if a header is unreadable."""
    names = tuple(modalities)
    for case in cases:
        try:
            frames = {name: expand(case.get(name, ())) for name in names}
        except ImageError as error:
            yield Combination({}, last=True, unreadable=error)
            continue
        *first, last = frame_combinations(frames, names)
        yield from (Combination(images, last=False) for images in first)
        yield Combination(last, last=True)


def batches(
    cases: Iterable[Images],
    modalities: Iterable[str],
    *,
    size: int,
    block: int | None,
    decode: Callable[[tuple[str, Path]], Future[Prepared]],
    keep: Decoded | None = None,
) -> Iterator[list[Combination]]:
    """Yield batches of frame combinations, whose images are being decoded.

    Args:
        cases: image files per modality.
        modalities: names of the network's modalities.
        size: frame combinations per batch.
        block: cases per block; blocks share no batch.
        decode: begins to decode one frame of one modality.
        keep: gets all images; otherwise only those of the previous batch are used again.
    """
    rest = iter(cases)
    decoded: Decoded = {}
    while True:
        combinations = combine(islice(rest, block), modalities)
        batch = list(islice(combinations, size))
        if not batch:
            return
        while batch:
            images = dict.fromkeys(image for item in batch for image in item.images.items())
            before = decoded if keep is None else keep
            decoded = {image: before.get(image) or decode(image) for image in images}
            if keep is not None:
                keep.update(decoded)
            for item in batch:
                item.decoded.update({key[0]: decoded[key] for key in item.images.items()})
            yield batch
            batch = list(islice(combinations, size))


def one_ahead(items: Iterable[T]) -> Iterator[T]:
    """Yield the same items, each after the next one is taken from its source."""
    held: list[T] = []
    for item in items:
        yield from held
        held = [item]
    yield from held


def stack_images(
    batch: Sequence[Mapping[str, Array]], config: BundleConfig
) -> tuple[list[Array], Array]:
    """Stack prepared images of frame combinations as a backend reads them.

    Returns:
        Images per modality (B, H, W, 3), zero where missing, and present (B, M) bool.
    """
    blank = np.zeros((config.size, config.size, 3), dtype=np.uint8)
    images = [np.stack([item.get(name, blank) for item in batch]) for name in config.modalities]
    return images, np.array([[name in item for name in config.modalities] for item in batch])


def frame_combinations(
    images: Mapping[str, Sequence[Path]], modalities: Iterable[str]
) -> list[dict[str, Path]]:
    """Combine frames for the network: frame i of every modality, in turn."""
    frames = {name: images[name] for name in modalities if images.get(name)}
    count = max((len(paths) for paths in frames.values()), default=1)
    return [{name: paths[i % len(paths)] for name, paths in frames.items()} for i in range(count)]
