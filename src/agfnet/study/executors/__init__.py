"""Execute many runs: one after another, in several processes, or on a Ray cluster.

Each way gives the same results, since a run depends on nothing but its settings. Sums of floats
depend on the number of threads, so results are equal to the last bit for the same `cpus` only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agfnet.config import StudyConfig
from agfnet.study.executors.local import in_processes, one_by_one
from agfnet.study.plan import Run


def execute(runs: Iterable[Run], config: StudyConfig) -> Iterator[tuple[Run, str | None]]:
    """Execute runs as the settings say.

    Args:
        runs: The runs. On this machine, each is taken only when it can start at once.
        config: Settings of the command.

    Yields:
        Each run when it ends, with its error in one line, or None if it is finished.
    """
    if config.executor == "ray":
        from agfnet.study.executors.ray import on_ray

        return on_ray(list(runs), config)
    if config.workers > 0:
        return in_processes(runs, config)
    return one_by_one(runs, config)
