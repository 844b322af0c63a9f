"""Execute runs as tasks of a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from agfnet.cluster import ray_cluster
from agfnet.config import StudyConfig
from agfnet.study.executors.job import attempt_in_process
from agfnet.study.plan import Run


def on_ray(runs: Sequence[Run], config: StudyConfig) -> Iterator[tuple[Run, str | None]]:
    """Execute runs as tasks, at the same time as far as the cluster has room.

    Raises:
        ConfigError: Ray is not installed, or there is no cluster at the address.
    """
    cpus = config.cpus or 1
    with ray_cluster(config.address, cores=config.workers * cpus or None) as ray:
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
