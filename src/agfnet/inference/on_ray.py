"""Predict the rows of a table in the workers of a Ray cluster, in order."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from agfnet.cluster import ray_cluster, ray_results
from agfnet.config import PredictConfig
from agfnet.data.table import Case
from agfnet.errors import ImageError
from agfnet.inference.diagnosis import Diagnosis
from agfnet.inference.predictor import Predictor

Answer = Diagnosis | ImageError

TASK = 8
"""Blocks of rows per task."""


class RayWorker:
    """Holds the model in a worker process.

    Args:
        folder: working directory, to which paths are relative.
        config: the model and its runtime.
    """

    def __init__(self, folder: str, config: PredictConfig) -> None:
        os.chdir(folder)
        # Ray limits torch to the cores of a worker, but neither ONNX Runtime nor our threads
        self.predictor = Predictor.load(
            config.model, backend=config.backend, threads=config.cpus or 1
        )

    def answer(self, cases: list[Case], block: int) -> list[Answer]:
        """Return the answers for cases."""
        images = (case.images for case in cases)
        return list(self.predictor.stream_with_errors(images, block=block))


def ray_answers(
    config: PredictConfig, cases: Iterable[Case], *, block: int
) -> Iterator[tuple[Case, Answer]]:
    """Yield every case with its diagnosis or error, in order, as this process would.

    Args:
        config: settings of the command.
        cases: the cases; they are read only as far as needed.
        block: number of cases that share no batch with others.

    Raises:
        RunError: a worker ended, as by lack of memory.
    """
    cpus = config.cpus or 1
    with ray_cluster(config.address, cores=config.workers * cpus or None) as ray:
        actor = ray.remote(num_cpus=cpus, num_gpus=config.gpus)(RayWorker)
        count = config.workers or max(1, int(ray.cluster_resources().get("CPU", 1)) // cpus)
        workers = [actor.remote(str(Path.cwd()), config) for _ in range(count)]
        remaining = iter(cases)
        tasks = iter(lambda: list(islice(remaining, TASK * block)), [])
        for task, answers in ray_results(
            ray, workers, tasks, lambda worker, task: worker.answer.remote(task, block)
        ):
            yield from zip(task, answers, strict=True)
