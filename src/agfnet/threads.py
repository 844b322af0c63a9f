"""The number of threads of torch on a machine that has other work.

The threads of an operation wait for each other many times in a training step. If other processes
use the cores as well, each of them waits for its turn first, and the whole is slower than with one
thread. `python bench/threads.py` measures it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

from agfnet.parallel import usable_cores

STAT = Path("/proc/stat")
"""File in which Linux counts how long each core was busy and idle."""

IDLE = (3, 4)  # columns of a core in STAT: idle, and waiting for a disk
GUEST = 8  # from this column on, times that are counted in others already


class Times(NamedTuple):
    """Seconds of CPU time since the machine was started."""

    at: float
    """Time of a clock."""
    all: float
    """Of all processes, on the cores that this one may use."""
    this: float
    """Of this process."""


def cpu_times() -> Times | None:
    """Return the CPU times so far; None where the system does not tell."""
    try:
        lines = [line.split() for line in STAT.read_text().splitlines()]
        allowed = {f"cpu{core}" for core in os.sched_getaffinity(0)}
        ticks = sum(
            int(value)
            for name, *values in lines
            if name in allowed
            for column, value in enumerate(values[:GUEST])
            if column not in IDLE
        )
        busy = ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError):
        return None
    return Times(time.monotonic(), busy, time.process_time())


START = cpu_times()
"""CPU times at the start of this process."""


def free_cores() -> int:
    """Return the number of cores that other processes have left free since `START`, at least 1.

    It is at most the number of usable cores, and equals it where the system does not tell.
    """
    cores, now = usable_cores(), cpu_times()
    if START is None or now is None or now.at - START.at < 0.1:
        return cores
    others = ((now.all - START.all) - (now.this - START.this)) / (now.at - START.at)
    return max(1, min(cores, round(len(os.sched_getaffinity(0)) - others)))


def use_free_cores(recorded: int | None = None) -> int | None:
    """Let torch compute with one thread for each free core.

    It holds for this whole process, so it is for commands. `OMP_NUM_THREADS` overrides it.

    Args:
        recorded: number of threads of a training that is continued or repeated, and whose result
            depends on it; taken instead.

    Returns:
        The number of threads; None if it was left as it is.
    """
    import torch

    if os.environ.get("OMP_NUM_THREADS"):
        return None
    torch.set_num_threads(recorded or min(torch.get_num_threads(), free_cores()))
    return torch.get_num_threads()
