"""Feature maps of frozen backbones in training: computed before the first epoch, then read."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from agfnet.config import FitConfig, TrainConfig
from agfnet.data.cache import cache_folder
from agfnet.data.dataset import CasesDataset
from agfnet.data.features import FeatureCache, Variant, identities
from agfnet.data.store import Entry
from agfnet.errors import ImageError
from agfnet.models.backbone import Backbones
from agfnet.models.build import backbone_digests, build_backbones, image_statistics
from agfnet.models.maps import BLOCK, packed_maps
from agfnet.terminal import say

Item = TypeVar("Item")
Result = TypeVar("Result")
REPORTS = 10  # lines of progress


def prepare_features(
    config: TrainConfig, datasets: Sequence[CasesDataset], backbones: Backbones, table: Path
) -> None:
    """Let a network train on feature maps of `config.data.feature_variants`.

    Maps that are not kept yet are computed first, unless there is not enough room for all. The
    trained network is the same as with maps that are computed in every step.

    Args:
        config: settings of the training.
        datasets: all cases whose maps are used.
        backbones: of the network that is trained.
        table: path of the table, next to which the maps are kept by default.

    Raises:
        ImageError: an image cannot be read.
    """
    data = config.data
    rounding = torch.float16 if data.augment else torch.float32
    backbones.accept_maps(data.size, rounding=rounding)
    if not data.feature_cache_mb:
        return
    full = all_scales(config, backbones)
    mean, std = image_statistics(config.model)
    cache = FeatureCache(
        folder=cache_folder(data.cache, table),
        max_bytes=data.feature_cache_mb * 2**20,
        backbones=identities(
            backbone_digests(config.model, full),
            data.modalities.values(),
            size=data.size,
            mean=mean,
            std=std,
        ),
    )
    maps = StoredMaps(datasets, cache, workers=data.workers)
    if maps.fit(width=max(layout.width for layout in full.layouts)):
        maps.complete(full, config.fit)
        for dataset in datasets:
            dataset.features = cache


def all_scales(config: TrainConfig, backbones: Backbones) -> Backbones:
    """Return backbones with the maps of all `fusion.scales`, so that all methods share the maps.

    Some methods use the last map only, and their backbones return no other.
    """
    scales = config.model.fusion.scales
    if len(backbones.channels[0]) == scales:
        return backbones
    with torch.random.fork_rng():
        full = build_backbones(config.model, backbones.modalities, scales).eval()
    full.accept_maps(config.data.size)
    return full


class ImageKey(NamedTuple):
    """An image of a training, with its variants."""

    modality: int
    digest: bytes  # of the prepared image
    variants: tuple[Variant, ...]


class MapSource(NamedTuple):
    """An image whose maps are to be computed."""

    modality: int
    digest: bytes  # of the prepared image
    variants: list[Variant]
    dataset: int  # position among the datasets
    file: Path


class Picture(NamedTuple):
    """One variant of an image."""

    source: MapSource
    variant: Variant
    image: Tensor  # (3, size, size)


class MapEngine:
    """Computes feature maps.

    Args:
        datasets: prepare the images.
        cache: knows the keys of maps; it is neither read nor written.
        backbones: the frozen networks; they are moved to the GPU if there is one.
        workers: processes that prepare images; 0 prepares them in this one.
    """

    def __init__(
        self,
        datasets: Sequence[CasesDataset],
        cache: FeatureCache,
        backbones: Backbones,
        *,
        workers: int = 0,
    ) -> None:
        self.datasets = datasets
        self.cache = cache
        self.backbones = backbones.to("cuda" if torch.cuda.is_available() else "cpu")
        self.workers = workers

    def entries(self, sources: Sequence[MapSource]) -> Iterator[tuple[int, list[Entry]]]:
        """Yield the number of images that were read, and maps as entries of the cache.

        Raises:
            ImageError: an image cannot be read.
        """
        waiting: list[list[Picture]] = [[] for _ in range(self.backbones.modalities)]
        done = 0
        for done, pictures in enumerate(
            in_workers(self.pictures, sources, workers=self.workers), start=1
        ):
            for picture in pictures:
                waiting[picture.source.modality].append(picture)
            for m, held in enumerate(waiting):
                while len(held) >= BLOCK:
                    yield done, self.maps(m, held[:BLOCK])
                    del held[:BLOCK]
        for m, held in enumerate(waiting):
            if held:
                yield done, self.maps(m, held)

    def pictures(self, source: MapSource) -> list[Picture]:
        """Return the variants of an image.

        Raises:
            ImageError: the image cannot be read.
        """
        dataset = self.datasets[source.dataset]
        return [
            Picture(source, v, dataset.image(source.modality, source.file, v))
            for v in source.variants
        ]

    def maps(self, modality: int, pictures: Sequence[Picture]) -> list[Entry]:
        """Return the maps of some variants of one modality."""
        images = torch.stack([picture.image for picture in pictures])
        device = next(self.backbones.parameters()).device
        layout = self.backbones.layouts[modality]
        rows = packed_maps(self.backbones.part(modality), images.to(device), layout)
        return [
            self.cache.entry(modality, picture.source.digest, picture.variant, row)
            for picture, row in zip(pictures, rows.cpu().numpy(), strict=True)
        ]


class StoredMaps:
    """The feature maps of all images of datasets.

    Args:
        datasets: the datasets.
        cache: keeps the maps.
        workers: processes that prepare images; 0 prepares them in this one.

    Raises:
        ImageError: an image cannot be read.
    """

    def __init__(
        self, datasets: Sequence[CasesDataset], cache: FeatureCache, *, workers: int
    ) -> None:
        self.cache = cache
        self.workers = workers
        self.datasets = datasets
        self.images: dict[ImageKey, tuple[int, Path]] = {}  # number of a dataset, and file
        for number, dataset in enumerate(datasets):
            files = list(dict.fromkeys(dataset.files()))
            digests = in_workers(dataset.digest, files, workers=workers)
            dataset.digests |= zip(files, digests, strict=True)
            for (modality, file), digest in dataset.digests.items():
                self.images[ImageKey(modality, digest, dataset.variants)] = number, file

    def fit(self, *, width: int) -> bool:
        """Announce all maps, `width` values per variant; return whether there is room for them."""
        owners = {self.cache.owner(key.modality, key.digest) for key in self.images}
        variants = [variant for key in self.images for variant in key.variants]
        return self.cache.expect(owners, variants, width=width)

    def missing(self, key: ImageKey) -> list[Variant]:
        """Return the variants of an image whose maps are not kept."""
        return [v for v in key.variants if not self.cache.has(key.modality, key.digest, v)]

    def complete(self, backbones: Backbones, fit: FitConfig) -> None:
        """Compute all maps that are missing.

        Processes that do so at the same time share the work: each takes the images in another
        order, and skips what another one has computed by then.
        """
        keys = [key for key in self.images if self.missing(key)]
        if not keys:
            return
        say(
            f"Computing the feature maps of {len(keys)} images; other runs with these backbones"
            f" read them from {self.cache.store.file}."
        )
        start = time.monotonic()
        random.Random(os.urandom(8)).shuffle(keys)
        sources = _Sources(self, keys)
        if fit.feature_executor == "ray":
            from agfnet.training.features_on_ray import entries_on_ray

            results = entries_on_ray(self.datasets, self.cache, backbones, sources, fit)
        else:
            engine = MapEngine(self.datasets, self.cache, backbones, workers=self.workers)
            results = engine.entries(sources)
        reports = [len(keys) * i // REPORTS for i in range(1, REPORTS + 1)]
        for done, entries in results:
            self.cache.store.write(entries)
            while reports and done >= reports[0]:
                reports.pop(0)
                seconds = time.monotonic() - start
                say(f"Feature maps of {done} of {len(keys)} images, {seconds:.0f} s")


class _Sources(Sequence[MapSource]):
    """The images of keys, with the variants that are missing when they are asked for."""

    def __init__(self, maps: StoredMaps, keys: Sequence[ImageKey]) -> None:
        self.maps = maps
        self.keys = keys

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: Any) -> Any:
        key = self.keys[index]
        dataset, file = self.maps.images[key]
        return MapSource(key.modality, key.digest, self.maps.missing(key), dataset, file)


class _Results(Dataset[Any], Generic[Item, Result]):
    """Results of a function, item by item; an unreadable image is a result as well."""

    def __init__(self, function: Callable[[Item], Result], items: Sequence[Item]) -> None:
        self.function = function
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Result | ImageError:
        try:
            return self.function(self.items[index])
        except ImageError as error:
            return error


def _unchanged(result: Any) -> Any:
    return result


def in_workers(
    function: Callable[[Item], Result], items: Sequence[Item], *, workers: int
) -> Iterator[Result]:
    """Apply a function to items in worker processes of PyTorch, which pass tensors cheaply.

    Raises:
        ImageError: the function has raised it.
    """
    results: DataLoader[Any] = DataLoader(
        _Results(function, items),
        batch_size=None,
        num_workers=workers,
        collate_fn=_unchanged,
        generator=torch.Generator(),  # or else this would draw from the one of the network
    )
    for result in results:
        if isinstance(result, ImageError):
            raise ImageError(str(result))
        yield result
