"""Real processes that SIGKILL ends at random moments of a training, and exact continuations."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_ten_killed_trainings_end_with_the_files_of_an_undisturbed_one(tmp_path: Path) -> None:
    """By the benchmark: weights, history, bundle, calibration and the values of checkpoints."""
    result = tmp_path / "stops.json"
    command = ["bench/stops.py", "--stops", "10", "--commands", "train", "--seed", "1"]
    done = subprocess.run(
        [sys.executable, *command, "--json", str(result)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(result.read_text())
    assert sum(row["baseline"] for row in rows) == 10
    assert [row["value"] for row in rows] == [row["baseline"] for row in rows], done.stdout
