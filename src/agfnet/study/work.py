"""Doing one run of a study: what is done already, what is left, and what went wrong."""

from __future__ import annotations

import contextlib
import os
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
import yaml

from agfnet.data.folds import read_split
from agfnet.data.splits import require_split
from agfnet.data.table import read_cases
from agfnet.errors import RunError
from agfnet.evaluation.runs import evaluate_run
from agfnet.files import write_text
from agfnet.study.plan import TEST, Run
from agfnet.study.run import run as train_and_evaluate
from agfnet.training.fit import differences, fit, record

State = Literal["finished", "begun", "not begun"]
VAL: Literal["val"] = "val"
FAILED = "error.log"  # in the run folder, gone after a success


def state(run: Run) -> State:
    """How far a run is.

    Raises:
        RunError: its folder holds a run with other settings.
    """
    file = run.folder / "config.yaml"
    if not file.is_file():
        return "not begun"
    before = yaml.safe_load(file.read_text(encoding="utf-8"))
    if changed := differences(before, record(run.config)):
        raise RunError(
            f"{run.folder}: holds a run with other settings ({', '.join(changed)}); give the study "
            "another `out`, or delete the folder to do the run again"
        )
    done = all(result(run, name).is_file() for name in (*run.tables, *run.evaluate))
    return "finished" if done else "begun"


def result(run: Run, table: str) -> Path:
    """The file that says that a run was scored on a table."""
    return run.folder / "evaluation" / table / "metrics.json"


def attempt(run: Run) -> str | None:
    """Do what is left of a run.

    Returns:
        What went wrong, in one line, with the whole in `error.log` of the run folder; None if it is
        finished.

    Raises:
        KeyboardInterrupt: it was stopped; nothing is wrong.
    """
    try:
        complete(run)
    except Exception as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # how training says that it was stopped
            raise KeyboardInterrupt from error
        return fail(run, error)
    (run.folder / FAILED).unlink(missing_ok=True)
    return None


def complete(run: Run) -> None:
    """Train, calibrate and score, from where it was stopped; a trial is scored as it validates."""
    scoring = replace(run.scoring, run=str(run.folder))
    if run.tables == (VAL,):
        fit(replace(run.config, resume=True), progress=False)
        evaluate_run(replace(scoring, split=VAL))
    elif not result(run, TEST).is_file():
        data = run.config.data
        table = read_split(
            data.cases, modalities=tuple(data.modalities), fold=data.fold, check_files=False
        )
        require_split(table, TEST)  # before hours of training, not after
        train_and_evaluate(replace(run.config, resume=True), scoring=scoring, bar=False)
    for name, cases in run.evaluate.items():
        if not result(run, name).is_file():
            evaluate_run(replace(scoring, cases=cases, name=name, split=part(run, cases)))


def part(run: Run, cases: str) -> Literal["test"] | None:
    """The part of a further table to score: its test split, or all of it if it has none."""
    table = read_cases(cases, modalities=tuple(run.config.data.modalities), check_files=False)
    return "test" if any(case.split for case in table) else None


def fail(run: Run, error: BaseException) -> str:
    """Keep an error in the run folder; returns its first line."""
    line = (str(error).splitlines() or [""])[0] or type(error).__name__
    details = "".join(traceback.format_exception(error))
    write_text(run.folder / FAILED, f"{line}\n\n{details}")
    return line


def failure(run: Run) -> str | None:
    """What went wrong in another process; None if the run is finished."""
    if state(run) == "finished":
        return None
    with contextlib.suppress(OSError):
        return (run.folder / FAILED).read_text(encoding="utf-8").splitlines()[0]
    return "its process ended without a word (out of memory?)"


def work(run: Run, cpus: int | None, folder: str) -> str | None:
    """`attempt` in a process of its own.

    Args:
        run: what to do.
        cpus: threads to compute with; PyTorch's own number if None.
        folder: where relative paths of the study begin.
    """
    os.chdir(folder)
    if cpus is not None:
        torch.set_num_threads(cpus)
    (run.folder / FAILED).unlink(missing_ok=True)
    return attempt(run)
