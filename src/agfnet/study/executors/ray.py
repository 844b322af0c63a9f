"""Execute runs as tasks of a Ray cluster (`agfnet[cluster]`), without telemetry."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from agfnet.config import StudyConfig
from agfnet.errors import ConfigError
from agfnet.study.executors.job import attempt_in_process
from agfnet.study.plan import Run

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no telemetry
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a task without reserved GPUs may use all
    "RAY_worker_niceness": "0",  # the priority of this process
}
OBJECT_STORE = 100 * 2**20  # bytes of shared memory: only settings and errors are passed


def on_ray(runs: Sequence[Run], config: StudyConfig) -> Iterator[tuple[Run, str | None]]:
    """Execute runs as tasks, at the same time as far as the cluster has room.

    Raises:
        ConfigError: Ray is not installed, or there is no cluster at the address.
    """
    os.environ.update(ENVIRONMENT)  # read when ray is imported
    try:
        import ray
    except ImportError as error:
        raise ConfigError(
            "executor: ray is not installed; pip install 'agfnet[cluster]'"
        ) from error
    cpus = config.cpus or 1
    local: dict[str, Any] = {"include_dashboard": False, "object_store_memory": OBJECT_STORE} | (
        {"num_cpus": config.workers * cpus} if config.workers > 0 else {}
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
        task = ray.remote(num_cpus=cpus, num_gpus=config.gpus, max_retries=0)(attempt_in_process)
        folder = str(Path.cwd())
        tasks = {task.remote(run, cpus, folder): run for run in runs}
        while tasks:
            (done, *_), _ = ray.wait(list(tasks), num_returns=1)
            run = tasks.pop(done)
            try:
                yield run, ray.get(done)
            except ray.exceptions.RayError as error:  # process killed or machine lost
                yield run, (str(error).splitlines() or ["its process ended"])[0]
    finally:
        ray.shutdown()
