"""A study that is killed, and the same study undisturbed: real training, as small as it gets."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from agfnet.config import StudyConfig
from agfnet.data.splits import keep_fraction
from agfnet.data.table import read_cases
from agfnet.errors import RunError
from agfnet.evaluation import run as evaluation
from agfnet.report import run as report
from agfnet.study.runner import run_study

from ..interruption import interruptions
from .test_run import MARK, mark_first_epoch


@pytest.fixture(autouse=True)
def little_for_each_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run's own intervals and pictures, which take longer here than its training."""
    monkeypatch.setattr(evaluation, "result_files", lambda *_, **__: {"metrics.json": {"n": 0}})
    monkeypatch.setattr(report, "evaluation_page", lambda _: "")


@pytest.mark.slow
def test_a_killed_study_goes_on_to_the_same_tables(study_file, tmp_path: Path) -> None:
    path = study_file("killed")
    process = subprocess.Popen(
        [sys.executable, "-m", "agfnet", "study", str(path), "--cpus", "1"],
        stderr=subprocess.PIPE,
        text=True,
    )
    first = tmp_path / "killed" / "runs" / "agfnet-seed0"
    deadline = time.monotonic() + 300
    last = first / "checkpoints" / "last.ckpt"
    while not last.exists():  # an epoch is over, and another one is not
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (first / "bundle" / "config.json").exists()
    mark_first_epoch(last)
    assert list((tmp_path / "killed" / "locks").iterdir())

    whole = study_file("whole")
    shutil.copytree(tmp_path / "killed" / "cohorts", tmp_path / "whole" / "cohorts")
    settings = tmp_path / "whole" / "cohorts" / "cohort.yaml"
    content = yaml.safe_load(settings.read_text()) | {"out": str(settings.with_suffix(""))}
    settings.write_text(yaml.safe_dump(content))
    for file in (path, whole):
        run_study(StudyConfig(file=str(file), cpus=1))
    assert f",{MARK}," in (first / "history.csv").read_text()  # it went on from the checkpoint
    files = [f"tables/test.{kind}" for kind in ("csv", "json", "md", "tex")]
    for file in (*files, "figures/test-differences-180mm.svg", "figures/test-differences-88mm.pdf"):
        killed, undisturbed = (
            (tmp_path / name / file).read_bytes() for name in ("killed", "whole")
        )
        assert killed == undisturbed, file
    rows = (tmp_path / "killed" / "tables" / "test.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * 3


@pytest.mark.slow
def test_ray_gives_the_same_tables(
    study_file, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    small = {
        "methods": ["concatenation"],
        "seeds": [0],
        "metrics": ["nll"],
        "settings": {"half": {"data.train_fraction": 0.5}},
    }
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    run_study(StudyConfig(file=str(study_file("plain", **small)), cpus=1))
    before = children()
    run_study(StudyConfig(file=str(study_file("ray", **small)), executor="ray", workers=2))
    assert children() <= before
    plain, ray = (tmp_path / name / "tables" / "half-test.csv" for name in ("plain", "ray"))
    assert plain.read_bytes() == ray.read_bytes()
    card = tmp_path / "plain" / "runs" / "concatenation-seed0-half" / "bundle" / "card.md"
    cases = read_cases(tmp_path / "plain/cohorts/cohort/cases.csv", modalities=("clinical",))
    train = [case for case in cases if case.split == "train"]
    half = len(keep_fraction(train, 0.5, seed=0))
    assert half < len(train)
    assert f"| all | {half} |" in card.read_text()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def children() -> set[str]:
    found = set()
    for task in Path("/proc/self/task").glob("*/children"):
        found |= set(task.read_text().split())
    return found


@pytest.mark.slow
def test_a_study_that_stops_at_any_change_of_a_file_is_finished(study_file, quick, tmp_path):
    out = tmp_path / "study"
    changes = {"cohort": None, "base": {"data.cases": "cases.csv"}, "seeds": [0], "resamples": 10}
    path = study_file(**changes, metrics=["accuracy"])
    config = StudyConfig(file=str(path))

    def results() -> dict[str, bytes]:
        files = [out / "report.html", *(out / "tables").iterdir()]
        return {file.name: file.read_bytes() for file in files}

    run_study(config)
    expected = results()
    for interrupt in interruptions(out, most=300, step=3):
        shutil.rmtree(out)
        with interrupt, contextlib.suppress(RunError):  # the message of a stopped study
            run_study(config)
        shutil.rmtree(out / "locks", ignore_errors=True)  # of a dead process: taken over
        run_study(config)
        assert results() == expected
    assert interrupt.number > 30
