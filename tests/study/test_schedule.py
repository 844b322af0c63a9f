"""The time of runs, and the limit for starting more of them."""

from __future__ import annotations

import itertools
import json

import pytest

from agfnet.cli import main
from agfnet.config import StudyConfig, format_duration, parse_duration
from agfnet.errors import ConfigError
from agfnet.files import write_json
from agfnet.study import schedule
from agfnet.study.executors.job import TIMING
from agfnet.study.plan import read_study
from agfnet.study.runner import run_study
from agfnet.study.schedule import Schedule, expected_seconds, remaining_seconds, seconds_of

OWN = {"cohort": None, "base": {"data.cases": "cases.csv"}}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2h", 7200), ("90m", 5400), ("1h30m", 5400), ("45s", 45), ("1.5h", 5400), ("1h 5s", 3605)],
)
def test_durations(text, seconds):
    assert parse_duration(text, "x") == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "2 hours", "-1h", "1.2.3h", "30m1h"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ConfigError, match=r"time_limit: .*as in 2h"):
        StudyConfig(file="x", time_limit=text)


def test_durations_for_readers():
    assert [format_duration(s) for s in (45, 600, 9000)] == ["45 s", "10 min", "2.5 h"]


@pytest.fixture
def study(study_file, quick):
    """A study of four finished runs, of which AGFnet took 100 s and concatenation 10 s."""
    path = str(study_file(**OWN))
    run_study(StudyConfig(file=path, shard="1/1"))
    read = read_study(path)
    for run in read.runs:
        assert seconds_of(run) >= 0
        seconds = 100.0 if run.method == "AGFnet" else 10.0
        write_json(run.folder / TIMING, {"seconds": seconds + run.seed})
    return read


def unfinish(run):
    (run.folder / "evaluation" / "test" / "metrics.json").unlink()


def test_a_run_is_expected_to_take_as_long_as_the_longest_like_it(study):
    first, second = study.runs[:2]
    assert expected_seconds(first, study.runs) == 101
    assert expected_seconds(second, study.runs) == 11
    for run in study.runs[1::2]:
        unfinish(run)
    assert expected_seconds(second, study.runs) == 101  # of the other method
    assert remaining_seconds(study.runs) == 202
    for run in study.runs[::2]:
        unfinish(run)
    assert expected_seconds(second, study.runs) is None
    assert remaining_seconds(study.runs) is None


def test_attempts_add_up(study, capsys):
    unfinish(study.runs[0])
    main(["study", str(study.path), "--dry-run"])
    assert "The others take about 2 min" in capsys.readouterr().out.replace("\n", " ")
    run_study(StudyConfig(file=str(study.path), shard="1/1"))
    seconds = json.loads((study.runs[0].folder / TIMING).read_text())["seconds"]
    assert 100 < seconds < 110


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"seconds": null}'])
def test_a_damaged_record_of_the_time_counts_as_none(study, text):
    first = study.runs[0]
    (first.folder / TIMING).write_text(text)
    assert seconds_of(first) is None
    unfinish(first)
    run_study(StudyConfig(file=str(study.path), shard="1/1"))
    assert 0 <= seconds_of(first) < 10


def test_only_runs_that_finish_in_time_are_started(study, monkeypatch):
    clock = itertools.count(0, 50)  # every look at it takes 50 s
    monkeypatch.setattr(schedule.time, "monotonic", lambda: next(clock))
    plan = Schedule(runs=study.runs, study=study.runs, limit=160)
    assert [run.name for run in plan] == ["agfnet-seed0", "concatenation-seed0"]
    assert [run.name for run in plan.not_started] == ["agfnet-seed1", "concatenation-seed1"]
    unlimited = Schedule(runs=study.runs, study=study.runs, limit=None)
    assert list(unlimited) == list(study.runs)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_study_with_a_limit_says_what_is_missing(study, quick, capsys, workers):
    unfinish(study.runs[2])
    quick.clear()
    limited = ["study", str(study.path), "--time-limit", "1m", "--workers", str(workers)]
    assert main(limited) == 0
    assert quick == []
    shown = " ".join(capsys.readouterr().out.split())
    assert "1 of 4 runs were not started" in shown
    page = (study.out / "report.html").read_text()
    assert "1 run of 4 not finished" in page
    assert "<li>agfnet-seed1: not started within the time limit</li>" in page


def test_a_limit_that_cannot_be_kept_is_refused(study_file):
    with pytest.raises(ConfigError, match="not with --executor ray"):
        StudyConfig(file="x", time_limit="2h", executor="ray")
