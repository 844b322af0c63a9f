"""The number of threads of a command."""

from __future__ import annotations

from agfnet.parallel import usable_cores
from agfnet.terminal import say
from agfnet.threads import use_free_cores


def choose_threads(recorded: int | None = None) -> None:
    """Compute on the free cores, and say so if there are others.

    Args:
        recorded: number of threads of the training that is continued or repeated.
    """
    threads, cores = use_free_cores(recorded), usable_cores()
    if recorded is None and threads is not None and threads < cores:
        say(
            f"Computing on {threads} of {cores} cores: other processes use the rest. Set "
            "OMP_NUM_THREADS to another number of threads to change this."
        )
