"""A Ray cluster (`agfnet[cluster]`), without telemetry."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from agfnet.errors import ConfigError

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no telemetry
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a task without reserved GPUs may use all
    "RAY_worker_niceness": "0",  # the priority of this process
}
OBJECT_STORE = 100 * 2**20  # bytes of shared memory: only settings, cases and answers are passed


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
