"""A study that is killed half-way, and one on Ray, against the same study without interruption.

    python bench/study.py --json bench/results/study.json

Six methods x three seeds are trained on a small cohort of the `easy` preset. The second time the
process gets SIGKILL when half of the runs are finished, and the same command is run again. The
third time Ray does the runs. One row gives the number of files in `tables/` that are equal to the
last byte, another the time of all commands; the baseline is the study without interruption.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from common import finish, options, row

STUDY = {
    "out": "study",
    "cohort": {"preset": "easy", "lesions": 200, "size": 32, "frames": 1},
    "base": {
        "data": {"size": 32},
        "model": {
            "backbone": {"name": "resnet10t", "options": {"channels": [8, 16, 24, 32]}},
            "fusion": {"dim": 16, "grid": 2},
        },
        "optim": {"epochs": 3, "lr": 0.001, "precision": "32-true"},
    },
    "methods": ["AGFnet", "concatenation", "late_fusion", "low_rank", "mmtm", "metablock"],
    "seeds": [0, 1, 2],
    "scoring": {"max_focus_lesions": 0, "resamples": 20},
    "metrics": ["accuracy", "macro_auc", "nll", "ece"],
    "resamples": 200,
}
RUNS = len(STUDY["methods"]) * len(STUDY["seeds"])


def main() -> None:
    """Run the study in three ways, and compare their tables."""
    arguments = options(__doc__).parse_args()
    rows = []
    with TemporaryDirectory() as name:
        folders = {way: Path(name) / way for way in ("undisturbed", "killed half-way", "on Ray")}
        tables, seconds = {}, {}
        for way, folder in folders.items():
            folder.mkdir()
            (folder / "study.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
            start = time.perf_counter()
            if way == "killed half-way":
                kill_at(folder, RUNS // 2)
            more = ["--executor", "ray", "--workers", "2"] if way == "on Ray" else []
            subprocess.run(command(*more), cwd=folder, check=True)
            seconds[way] = time.perf_counter() - start
            written = sorted((folder / "study" / "tables").iterdir())
            tables[way] = {path.name: path.read_bytes() for path in written}
    reference = tables["undisturbed"]
    for way, files in tables.items():
        equal = sum(files.get(file) == content for file, content in reference.items())
        rows += [
            row(way, "files of tables/ that are equal", equal, len(reference)),
            row(way, "seconds", seconds[way], seconds["undisturbed"]),
        ]
    finish(rows, arguments)


def command(*more: str) -> list[str]:
    """Return the command of the study."""
    return [sys.executable, "-m", "agfnet", "study", "study.yaml", "--cpus", "1", *more]


def kill_at(folder: Path, count: int) -> None:
    """Start the study, and kill it when `count` runs are finished and the next has begun."""
    process = subprocess.Popen(command(), cwd=folder)
    runs = folder / "study" / "runs"
    while (
        len(list(runs.glob("*/evaluation/test/metrics.json"))) < count
        or len(list(runs.iterdir())) <= count
    ):
        if process.poll() is not None:
            raise SystemExit("the study ended before it could be killed")
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()


if __name__ == "__main__":
    main()
