"""A study that is killed half-way, and one on Ray, against the same study undisturbed.

    python bench/study.py --json bench/results/study.json

Six methods x three seeds on a small cohort of the `easy` preset, really trained. The second time
the process gets SIGKILL when half of the runs are finished, and the same command is given again.
The third time Ray does the runs. A row says how many files of `tables/` are equal to the last byte;
its time is that of all commands, a ratio to the undisturbed study.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from agfnet.files import write_json
from agfnet.terminal import show_table

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
    """Run, compare, show."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    rows = []
    with TemporaryDirectory() as name:
        folders = {way: Path(name) / way for way in ("undisturbed", "killed half-way", "on Ray")}
        found, seconds = {}, {}
        for way, folder in folders.items():
            folder.mkdir()
            (folder / "study.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
            start = time.perf_counter()
            if way == "killed half-way":
                kill_at(folder, RUNS // 2)
            more = ["--executor", "ray", "--workers", "2"] if way == "on Ray" else []
            command(folder, *more).check_returncode()
            seconds[way] = time.perf_counter() - start
            tables = sorted((folder / "study" / "tables").iterdir())
            found[way] = {path.name: path.read_bytes() for path in tables}
    whole = found["undisturbed"]
    for way, tables in found.items():
        equal = sum(tables.get(file) == content for file, content in whole.items())
        rows += [
            row(way, "files of tables/ that are equal", equal, len(whole)),
            row(way, "seconds", seconds[way], seconds["undisturbed"]),
        ]
    show_table(
        ["study", "what", "value", "undisturbed"],
        [[r["name"], r["metric"], f"{r['value']:.0f}", f"{r['baseline']:.0f}"] for r in rows],
    )
    if chosen.json:
        write_json(chosen.json, rows)


def row(name: str, metric: str, value: float, baseline: float) -> dict[str, object]:
    """A line of the result."""
    return {
        "name": name,
        "metric": metric,
        "value": value,
        "baseline": baseline,
        "ratio": value / baseline,
    }


def words(*more: str) -> list[str]:
    """The command."""
    return [sys.executable, "-m", "agfnet", "study", "study.yaml", "--cpus", "1", *more]


def command(folder: Path, *more: str) -> subprocess.CompletedProcess[bytes]:
    """Give it, and wait."""
    return subprocess.run(words(*more), cwd=folder, check=False)


def kill_at(folder: Path, count: int) -> None:
    """Start the study and kill it when so many runs are finished and the next one is at work."""
    process = subprocess.Popen(words(), cwd=folder)
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
