"""Search with Optuna, with trials that only write their answers on validation cases."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import yaml

from agfnet.cli import main
from agfnet.config import StudyConfig
from agfnet.errors import ConfigError, RunError
from agfnet.study.executors import job
from agfnet.study.runner import run_study

SEARCH = {
    "parameters": {
        "optim.lr": {"low": 1e-4, "high": 1e-1, "log": True},
        "optim.batch_size": {"low": 4, "high": 32},
        "model.fusion.scales": [1, 3],
    },
    "trials": 4,
}
BASE = {"cohort": None, "base": {"data.cases": "cases.csv"}, "methods": ["AGFnet"], "seeds": [0]}


def trials(folder: Path) -> list[dict[str, str]]:
    with (folder / "tables" / "search.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_lists_are_searched_as_a_grid(study_file, quick, tmp_path):
    parameters = {"optim.lr": [0.1, 0.01, 0.001], "model.fusion.scales": [1, 3]}
    search = {"parameters": parameters, "trials": 6}
    run_study(StudyConfig(file=str(study_file(**BASE, search=search))))
    tried = {(row["optim.lr"], row["model.fusion.scales"]) for row in trials(tmp_path / "study")}
    assert tried == {(rate, scales) for rate in ("0.1", "0.01", "0.001") for scales in "13"}
    more = {"parameters": parameters, "trials": 8}
    run_study(StudyConfig(file=str(study_file(**BASE, search=more))))
    assert len(trials(tmp_path / "study")) == 8


@pytest.mark.slow
def test_a_search_ends_with_trials_best_settings_and_history(
    study_file, quick, tmp_path, fits_schema
):
    methods = ["AGFnet", "concatenation"]
    path = study_file(**BASE | {"methods": methods, "search": SEARCH})
    run_study(StudyConfig(file=str(path)))
    rows = trials(tmp_path / "study")
    assert [row["method"] for row in rows] == [name for name in methods for _ in range(4)]
    assert all(row["state"] == "complete" for row in rows)
    assert all(int(row["optim.batch_size"]) in range(4, 33) for row in rows)
    fits_schema("search.json", json.loads((tmp_path / "study/tables/search.json").read_text()))
    best = yaml.safe_load((tmp_path / "study" / "best.yaml").read_text())
    lowest = min(rows[:4], key=lambda row: float(row["value"]))
    assert best["AGFnet"]["optim.lr"] == float(lowest["optim.lr"])
    assert best["AGFnet"]["model.fusion.scales"] in (1, 3)
    page = (tmp_path / "study" / "report.html").read_text()
    assert "Research use only" in page
    assert "validation" in page
    assert not list((tmp_path / "study" / "runs").glob("*/evaluation/test"))


@pytest.mark.slow
def test_a_stopped_search_goes_on_to_the_same_trials(study_file, quick, tmp_path, monkeypatch):
    run_study(StudyConfig(file=str(study_file("whole", **BASE, search=SEARCH))))
    path = str(study_file("stopped", **BASE, search=SEARCH))
    train = job.train

    def stopping(config, *, bar):
        if len(quick) == 6:
            raise KeyboardInterrupt
        return train(config, bar=bar)

    monkeypatch.setattr(job, "train", stopping)
    with pytest.raises(RunError, match="same command again to continue"):
        run_study(StudyConfig(file=path))
    monkeypatch.setattr(job, "train", train)
    run_study(StudyConfig(file=path))
    assert len(quick) == 8
    assert trials(tmp_path / "stopped") == trials(tmp_path / "whole")
    run_study(StudyConfig(file=path))
    assert len(quick) == 8


def test_a_search_without_any_result_is_an_error_with_its_reason(study_file, quick, capsys):
    search = {"parameters": {"optim.lr": ["x", "y"]}, "trials": 2}
    assert main(["study", str(study_file(**BASE, search=search))]) == 1
    errors = " ".join(capsys.readouterr().err.split())
    assert "no trial of 1 of 1 methods succeeded" in errors
    assert "AGFnet: " in errors
    assert "optim.lr: Input should be a valid number" in errors


@pytest.mark.slow
def test_failed_trials_are_reported_and_do_not_win(study_file, quick, tmp_path, capsys):
    parameters = {"model.dropout": [0.1, 0.9], "model.fusion.dim": [16, 15]}
    search = {"parameters": parameters, "trials": 12}
    assert main(["study", str(study_file(**BASE, search=search))]) == 0
    rows = trials(tmp_path / "study")
    errors = {row["error"] for row in rows if row["state"] == "failed"}
    assert any("no such luck" in error for error in errors)
    assert any("not a multiple of heads" in error for error in errors)
    best = yaml.safe_load((tmp_path / "study" / "best.yaml").read_text())
    assert best == {"AGFnet": {"model.dropout": 0.1, "model.fusion.dim": 16}}
    assert "failed" in capsys.readouterr().out


@pytest.mark.slow
def test_trials_at_the_same_time_and_pruning(study_file, quick, tmp_path, monkeypatch):
    monkeypatch.setattr("agfnet.study.search.execute", lambda runs, _: one_by_one(runs))
    search = SEARCH | {"trials": 14}
    path = study_file(**BASE | {"seeds": [0, 1, 2]}, search=search)
    run_study(StudyConfig(file=str(path), workers=2))
    rows = trials(tmp_path / "study")
    assert len(rows) == 14
    pruned = [row for row in rows if row["state"] == "pruned"]
    assert pruned
    assert len(quick) < 3 * 14
    assert all(row["value"] == "" for row in pruned)


def one_by_one(runs):
    return [(run, job.attempt(run)) for run in runs]


@pytest.mark.slow
def test_other_parameters_need_another_folder(study_file, quick):
    run_study(StudyConfig(file=str(study_file(**BASE, search=SEARCH | {"trials": 1}))))
    run_study(StudyConfig(file=str(study_file(**BASE, search=SEARCH | {"trials": 2}))))
    assert len(quick) == 2
    changed = SEARCH | {"parameters": {"optim.lr": [1e-3, 1e-4]}}
    with pytest.raises(RunError, match="started with other settings"):
        run_study(StudyConfig(file=str(study_file(**BASE, search=changed))))


def test_what_a_search_cannot_have(study_file):
    path = study_file(**BASE, search=SEARCH, settings={"half": {"data.train_fraction": 0.5}})
    with pytest.raises(ConfigError, match="settings: a search has none"):
        run_study(StudyConfig(file=str(path)))
    with pytest.raises(ConfigError, match="cannot be divided into shards"):
        run_study(StudyConfig(file=str(study_file(**BASE, search=SEARCH)), shard="1/2"))
