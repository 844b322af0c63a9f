"""A Ray cluster (`agfnet[cluster]`), without telemetry."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

from agfnet.errors import ConfigError, RunError

Task = TypeVar("Task")

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no telemetry
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a task without reserved GPUs may use all
    "RAY_worker_niceness": "0",  # the priority of this process
}
OBJECT_STORE = 100 * 2**20  # bytes of shared memory: only settings, cases and answers are passed
AHEAD = 2
"""Tasks per worker that are submitted before their results are needed. It bounds the memory."""


@contextmanager
def ray_cluster(address: str | None, *, cores: int | None) -> Iterator[Any]:
    """Connect to a cluster, and yield the module `ray`.

    Args:
        address: of the cluster; None starts one on this machine, for the duration of the block.
        cores: CPU cores of one on this machine; all if None.

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
    local: dict[str, Any] = {
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE,
        "num_cpus": cores,
    }
    try:
        ray.init(
            address=address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            **({} if address else local),
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(f"address: no Ray cluster at {address}: {error}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def ray_results(
    ray: Any,
    workers: Sequence[Any],
    tasks: Iterable[Task],
    submit: Callable[[Any, Task], Any],
) -> Iterator[tuple[Task, Any]]:
    """Yield every task with its result, in order; workers take turns.

    Args:
        ray: the module.
        workers: actors.
        tasks: they are taken only as far as workers need them.
        submit: starts a task on a worker and returns the reference of its result.

    Raises:
        RunError: a worker ended, as by lack of memory.
    """
    remaining = iter(tasks)
    waiting: deque[tuple[Task, Any]] = deque()
    number = 0
    while True:
        for task in islice(remaining, AHEAD * len(workers) - len(waiting)):
            waiting.append((task, submit(workers[number % len(workers)], task)))
            number += 1
        if not waiting:
            return
        task, result = waiting.popleft()
        try:
            yield task, ray.get(result)
        except ray.exceptions.RayError as error:
            reason = (str(error).splitlines() or ["its process ended"])[0]
            raise RunError(
                f"a Ray worker failed: {reason}; run the same command to resume"
            ) from error
