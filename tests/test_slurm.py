"""The batch scripts of configs/slurm, executed with programs in the place of SLURM's and agfnet."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from agfnet.cli import build_parser
from agfnet.cli.arguments import current_arguments

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "configs" / "slurm").glob("*.sh"))
PROGRAMS = {
    "srun": 'while [[ $1 == -* ]]; do shift; done; exec "$@"',
    "scontrol": 'echo "$@" >> "$LOG.scontrol"; echo node1',
    "agfnet": 'printf "%s\\n" "$@" > "$LOG.agfnet"; env > "$LOG.env"; exit $CODE',
}
JOB = {
    "SLURM_JOB_ID": "31",
    "SLURM_JOB_NODELIST": "node[1-2]",
    "SLURM_PROCID": "9",
    "SLURM_NTASKS": "16",
    "SLURM_LOCALID": "1",
    "SLURM_NTASKS_PER_NODE": "8",
    "SLURM_ARRAY_TASK_ID": "2",
    "SLURM_ARRAY_TASK_COUNT": "8",
    "SLURM_CPUS_PER_TASK": "4",
}
ARGUMENTS = {
    "train": ["{folder}/settings.yaml", "first"],
    "predict": ["runs/first", "cases.csv", "out.csv"],
    "study": ["study.yaml"],
}


@pytest.mark.parametrize("code", [0, 1, 75])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_batch_script(script: Path, tmp_path: Path, code: int) -> None:
    """Its options are those of agfnet, and exit code 75 alone puts the job into the queue again."""
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    log = tmp_path / "log"
    path = f"{tmp_path}:{os.environ['PATH']}"
    environment = os.environ | JOB | {"PATH": path, "LOG": str(log), "CODE": str(code)}
    (tmp_path / "settings.yaml").write_text("data: {cases: data.csv}\n")
    arguments = [word.format(folder=tmp_path) for word in ARGUMENTS[script.stem]]
    ended = subprocess.run(["bash", script, *arguments], env=environment, check=False)
    assert ended.returncode == code
    command = log.with_suffix(".agfnet").read_text().splitlines()
    assert command[0] == script.stem
    if code == 0:
        build_parser(command[:1]).parse_args(current_arguments(command))
    scontrol = log.with_suffix(".scontrol")
    requeued = scontrol.is_file() and "requeue 31" in scontrol.read_text()
    assert requeued == (code == 75 and script.stem != "predict")
    if script.stem == "train":
        variables = dict(
            line.split("=", 1)
            for line in log.with_suffix(".env").read_text().splitlines()
            if "=" in line
        )
        ranks = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR")
        assert [variables[name] for name in ranks] == ["9", "16", "1", "8", "node1"]


def test_there_are_scripts() -> None:
    assert {script.stem for script in SCRIPTS} == set(ARGUMENTS)
