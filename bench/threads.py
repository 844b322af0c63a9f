"""The time of a training step on a machine with other work, by the number of threads.

    python bench/threads.py --json bench/results/threads.json

On each number of busy cores, from none to all, other processes that only count are started, and a
step of one backbone is timed in separate processes: with one thread for each core, as PyTorch
takes, and with one for each core that `agfnet.threads` finds free (baseline). The machine should
have no other work.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from common import Row, finish, in_rounds, options, rows_against

from agfnet.parallel import usable_cores
from agfnet.threads import use_free_cores

COUNT = "while True: pass"
FREE = "one thread for each free core"
ALL = "one thread for each core"


@contextmanager
def busy(cores: int) -> Iterator[None]:
    """Keep this number of cores busy with processes of other sessions."""
    command = [sys.executable, "-c", COUNT]
    others = [subprocess.Popen(command, start_new_session=True) for _ in range(cores)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def step_seconds(size: int, steps: int, *, free: bool) -> float:
    """Time a training step of one backbone in this process."""
    import timm
    import torch

    if free:
        time.sleep(1)
        use_free_cores()
    backbone = timm.create_model("mobilenetv2_100", features_only=True)
    images = torch.randn(16, 3, size, size)

    def step() -> None:
        backbone(images)[-1].square().mean().backward()

    step()
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - start) / steps


def measured(size: int, steps: int, *, free: bool) -> float:
    """Time a training step in a separate process."""
    settings = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    code = f"import threads; print(threads.step_seconds({size}, {steps}, free={free}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        env=settings,
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,
    )
    return float(done.stdout)


def main() -> None:
    """Measure every number of busy cores."""
    parser = options(__doc__)
    parser.add_argument("--size", type=int, default=96, help="side of the images in pixels")
    parser.add_argument("--steps", type=int, default=10, help="steps of each measurement")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each row")
    arguments = parser.parse_args()
    rows: list[Row] = []
    for cores in range(usable_cores() + 1):
        with busy(cores):
            measure = partial(measured, arguments.size, arguments.steps)
            measures = {ALL: partial(measure, free=False), FREE: partial(measure, free=True)}
            seconds = in_rounds(measures, arguments.rounds)
        title = f"{cores} of {usable_cores()} cores busy"
        rows += rows_against(seconds, FREE, title, "s of a training step")[:1]
    finish(rows, arguments)


if __name__ == "__main__":
    main()
