"""Compute feature maps in the workers of a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from agfnet.cluster import ray_cluster, ray_results
from agfnet.config import FitConfig
from agfnet.data.dataset import CasesDataset
from agfnet.data.features import FeatureCache
from agfnet.data.store import Entry
from agfnet.errors import ImageError
from agfnet.models.backbone import Backbones
from agfnet.training.features import MapEngine, MapSource

TASK_BYTES = 32 * 2**20
"""Largest size of the maps of a task, roughly: they pass through memory that workers share."""
MAX_TASK = 64
"""Largest number of images of a task."""


class MapWorker:
    """Holds the backbones in a worker process.

    Args:
        folder: working directory, to which paths are relative.
        parts: arguments of `MapEngine`.
    """

    def __init__(self, folder: str, parts: tuple[Any, ...]) -> None:
        os.chdir(folder)
        self.engine = MapEngine(*parts)

    def entries(self, sources: list[MapSource]) -> list[Entry] | ImageError:
        """Return the maps of images, or the error of one that cannot be read."""
        try:
            return [entry for _, some in self.engine.entries(sources) for entry in some]
        except ImageError as error:
            return error


def entries_on_ray(
    datasets: Sequence[CasesDataset],
    cache: FeatureCache,
    backbones: Backbones,
    sources: Sequence[MapSource],
    fit: FitConfig,
) -> Iterator[tuple[int, list[Entry]]]:
    """Yield the number of finished images and their maps, as `MapEngine.entries` does.

    Raises:
        ConfigError: Ray is not installed, or there is no cluster at the address.
        ImageError: an image cannot be read.
        RunError: a worker ended, as by lack of memory.
    """
    with ray_cluster(fit.feature_address, cores=fit.feature_workers or None) as ray:
        resources = ray.cluster_resources()
        gpus = int(resources.get("GPU", 0))
        actor = ray.remote(num_cpus=1, num_gpus=1 if gpus else 0)(MapWorker)
        count = fit.feature_workers or gpus or max(1, int(resources.get("CPU", 1)))
        parts = ray.put((datasets, cache, backbones))
        workers = [actor.remote(str(Path.cwd()), parts) for _ in range(count)]
        done = 0
        for task, result in ray_results(
            ray, workers, tasks_of(sources, cache), lambda worker, task: worker.entries.remote(task)
        ):
            if isinstance(result, ImageError):
                raise ImageError(str(result))
            done += len(task)
            yield done, result


def tasks_of(sources: Sequence[MapSource], cache: FeatureCache) -> Iterator[list[MapSource]]:
    """Yield images in groups whose maps have a limited size."""
    task: list[MapSource] = []
    size = 0
    for source in sources:
        task.append(source)
        size += 4 * cache.width * len(source.variants)
        if size >= TASK_BYTES or len(task) == MAX_TASK:
            yield task
            task, size = [], 0
    if task:
        yield task
