"""Runs as tasks of a Ray cluster (`agfnet[cluster]`). Nothing is reported to anyone."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from agfnet.config import StudyConfig
from agfnet.errors import ConfigError
from agfnet.study.plan import Run
from agfnet.study.work import work

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no telemetry
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a task without GPUs sees what its machine shows
    "RAY_worker_niceness": "0",  # as this process, not as an afterthought of the machine
}
STORE = 100 * 2**20  # bytes of shared memory: only settings and error lines pass through it


def on_ray(runs: Sequence[Run], config: StudyConfig) -> Iterator[tuple[Run, str | None]]:
    """Do runs as tasks, as many at a time as the cluster has room for.

    Raises:
        ConfigError: Ray is not installed, or there is no cluster at the address.
    """
    os.environ.update(QUIET)  # read when ray is imported
    try:
        import ray
    except ImportError as error:
        raise ConfigError(
            "executor: ray is not installed; pip install 'agfnet[cluster]'"
        ) from error
    cpus = config.cpus or 1
    local: dict[str, Any] = {"include_dashboard": False, "object_store_memory": STORE} | (
        {"num_cpus": config.workers * cpus} if config.workers > 1 else {}
    )
    try:
        ray.init(
            address=config.address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            **({} if config.address else local),
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(f"address: no Ray cluster at {config.address}: {error}") from error
    try:
        task = ray.remote(num_cpus=cpus, num_gpus=config.gpus, max_retries=0)(work)
        folder = str(Path.cwd())
        tasks = {task.remote(run, cpus, folder): run for run in runs}
        while tasks:
            (done, *_), _ = ray.wait(list(tasks), num_returns=1)
            run = tasks.pop(done)
            try:
                yield run, ray.get(done)
            except ray.exceptions.RayError as error:  # its process was killed, or its machine lost
                yield run, (str(error).splitlines() or ["its process ended"])[0]
    finally:
        ray.shutdown()
