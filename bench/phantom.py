"""Speed and memory of rendering a phantom cohort.

    python bench/phantom.py --json phantom.json

- lesions_per_second: on one core (a photograph, 1 to 2 ultrasound frames, masks, files), in
  processor time, so that other programs do not count. Baseline at 224 px: the guaranteed speed, 8.
- peak_mb: peak memory of a process that writes many lesions. Baseline: 100 lesions; memory must not
  grow with the cohort.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import finish, options, row

from agfnet.config import PhantomConfig
from agfnet.phantom import make_cohort

GUARANTEED = 8.0  # lesions per second at 224 pixels
PEAK = """
import resource, sys
from agfnet.config import PhantomConfig
from agfnet.phantom import make_cohort
make_cohort(PhantomConfig(out=sys.argv[1], lesions=int(sys.argv[2]), size=32))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def speed(folder: Path, size: int, lesions: int) -> float:
    """Lesions per second of processor time."""
    config = PhantomConfig(out=str(folder / f"speed_{size}"), lesions=lesions, size=size)
    start = time.process_time()
    make_cohort(config)
    return lesions / (time.process_time() - start)


def peak(folder: Path, lesions: int) -> float:
    """Peak memory of a separate process, MB."""
    command = [sys.executable, "-c", PEAK, str(folder / f"peak_{lesions}"), str(lesions)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Measure speed and memory."""
    parser = options(__doc__)
    parser.add_argument("--lesions", type=int, default=60)
    parser.add_argument("--many", type=int, default=2_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        speed(folder, 33, 5)  # loads modules and fills caches
        rows = [
            row(
                f"{size} px",
                "lesions_per_second",
                speed(folder, size, arguments.lesions),
                GUARANTEED if size == 224 else None,
            )
            for size in (64, 96, 224)
        ]
        few, many = peak(folder, 100), peak(folder, arguments.many)
        rows.append(row(f"{arguments.many} lesions", "peak_mb", many, few))
    finish(rows, arguments)


if __name__ == "__main__":
    main()
