"""How fast a synthetic cohort is drawn, and that its memory does not grow with it.

    python bench/phantom.py --json phantom.json

Value: lesions per second of one core (a photograph, 1 to 2 ultrasound frames, masks, files), by the
processor's time, so that other programs do not count.
Baseline: 8 at 224 pixels, the least that the package promises. Memory: peak of a process that
writes many lesions, in MB; baseline: 100 lesions. Ratio: value / baseline.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from agfnet.config import PhantomConfig
from agfnet.files import write_json
from agfnet.phantom import make_cohort

PROMISED = 8.0  # lesions per second at 224 pixels
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
    """Peak memory of a process of its own, MB."""
    command = [sys.executable, "-c", PEAK, str(folder / f"peak_{lesions}"), str(lesions)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--lesions", type=int, default=60)
    parser.add_argument("--many", type=int, default=2_000)
    parser.add_argument("--json", type=Path)
    settings = parser.parse_args()
    rows = []
    print(f"{'':<16}{'metric':<20}{'value':>9}{'baseline':>10}{'ratio':>7}")

    def report(name: str, metric: str, value: float, baseline: float | None) -> None:
        ratio = None if baseline is None else value / baseline
        shown = ["" if each is None else f"{each:.2f}" for each in (value, baseline, ratio)]
        print(f"{name:<16}{metric:<20}{shown[0]:>9}{shown[1]:>10}{shown[2]:>7}")
        rows.append(
            {"name": name, "metric": metric, "value": value, "baseline": baseline, "ratio": ratio}
        )

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        speed(folder, 33, 5)  # imports and caches
        for size in (64, 96, 224):
            baseline = PROMISED if size == 224 else None
            report(
                f"{size} px", "lesions_per_second", speed(folder, size, settings.lesions), baseline
            )
        few, many = peak(folder, 100), peak(folder, settings.many)
        report(f"{settings.many} lesions", "peak_mb", many, few)
    if settings.json:
        write_json(settings.json, rows)


if __name__ == "__main__":
    main()
