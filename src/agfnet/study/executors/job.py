"""One run as a job: its state, the work that remains, and its error."""

from __future__ import annotations

import contextlib
import json
import os
import time
import traceback
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from agfnet.config.renamed import run_settings
from agfnet.data.folds import read_split, split_as_trained
from agfnet.data.splits import require_split
from agfnet.data.table import CasesTable, read_cases
from agfnet.errors import AgfnetError, RunError, StoppedError, system_message
from agfnet.files import write_json, write_text
from agfnet.report.run import run_evaluation
from agfnet.study.plan import TEST, Run
from agfnet.study.run import run as train_and_evaluate
from agfnet.study.run import train
from agfnet.training.environment import ENVIRONMENT, read_environment
from agfnet.training.run_folder import changed_settings, table_difference

State = Literal["finished", "begun", "not begun"]
VAL: Literal["val"] = "val"
TIMING = "timing.json"  # in the run folder: seconds of all attempts
ERROR_LOG = "error.log"  # in the run folder; deleted after a success


def state(run: Run) -> State:
    """Return the state of a run.

    Raises:
        RunError: Its folder holds a run with other settings.
    """
    if not (run.folder / "config.yaml").is_file():
        return "not begun"
    if changed := changed_settings(run_settings(run.folder), run.config):
        raise RunError(
            f"{run.folder}: holds a run with other settings ({', '.join(changed)}); give the study "
            "another `out`, or delete the folder to do the run again"
        )
    done = all(metrics_file(run, name).is_file() for name in (*run.tables, *run.evaluate))
    return "finished" if done else "begun"


def metrics_file(run: Run, table: str) -> Path:
    """Path of the metrics of a run on a table; the file exists once the run was scored there."""
    return run.folder / "evaluation" / table / "metrics.json"


def attempt(run: Run) -> str | None:
    """Do the work that remains of a run.

    Returns:
        The error in one line, with its traceback in `error.log` of the run folder; None if the run
        is finished.

    Raises:
        KeyboardInterrupt: The run was stopped; nothing is wrong with it.
        StoppedError: Likewise, by a signal of a scheduler.
    """
    start = time.monotonic()
    try:
        complete(run)
    except StoppedError:
        raise
    except Exception as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # how training reports Ctrl-C
            raise KeyboardInterrupt from error
        return write_error(run, error)
    finally:
        if run.folder.is_dir():
            _record_time(run.folder / TIMING, time.monotonic() - start)
    (run.folder / ERROR_LOG).unlink(missing_ok=True)
    return None


def _record_time(file: Path, seconds: float) -> None:
    """Add the time of an attempt to the record of a run."""
    write_json(file, {"seconds": round(seconds + (read_time(file) or 0.0), 3)})


def read_time(file: Path) -> float | None:
    """Return the seconds in the record of a run; None without a readable record."""
    try:
        return float(json.loads(file.read_text(encoding="utf-8"))["seconds"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def complete(run: Run) -> None:
    """Train, calibrate and score a run, continuing after an interruption.

    A trial of a search is trained and scored on validation cases only.
    """
    scoring = replace(run.scoring, run=str(run.folder))
    splits = {
        name: split_to_score(
            run, cases
        )  # a table may be wrong: before hours of training, not after
        for name, cases in run.evaluate.items()
        if not metrics_file(run, name).is_file()
    }
    if run.tables == (VAL,):
        train(replace(run.config, resume=True), bar=False)
        run_evaluation(replace(scoring, split=VAL))
    elif not metrics_file(run, TEST).is_file():
        require_split(_read_table(run), TEST)  # before hours of training, not after
        train_and_evaluate(replace(run.config, resume=True), scoring=scoring, bar=False)
    for name, split in splits.items():
        run_evaluation(replace(scoring, cases=run.evaluate[name], name=name, split=split))


def check_table_unchanged(runs: Iterable[Run]) -> None:
    """Check that begun and finished runs were trained on the tables as they are now.

    Their results could not be compared with those of runs that are still to be trained.

    Raises:
        RunError: The content of a table has changed since.
    """
    tables: dict[tuple[str, tuple[str, ...], int | None], CasesTable | None] = {}
    for run in runs:
        if not (run.folder / ENVIRONMENT).is_file():
            continue
        data = run.config.data
        key = (data.cases, tuple(data.modalities), data.fold)
        if key not in tables:
            tables[key] = None
            with contextlib.suppress(AgfnetError):  # the runs that need the table will report it
                tables[key] = _read_table(run)
        table = tables[key]
        if table and (difference := table_difference(read_environment(run.folder), table)):
            raise RunError(
                f"{table.path}: is not the table that {run.folder} was trained on ({difference}); "
                "restore the table, or give the study another `out` to train all runs on it"
            )


def _read_table(run: Run) -> CasesTable:
    data = run.config.data
    return read_split(
        data.cases, modalities=tuple(data.modalities), fold=data.fold, check_files=False
    )


def split_to_score(run: Run, cases: str) -> Literal["test"] | None:
    """Return `test` for a further table with a split or folds, else None (all cases)."""
    table = read_cases(cases, modalities=tuple(run.config.data.modalities), check_files=False)
    split = split_as_trained(table, run.config.data.fold)
    return "test" if any(case.split for case in split) else None


def write_error(run: Run, error: BaseException) -> str:
    """Write an error to the run folder; return its first line."""
    text = system_message(error) if isinstance(error, OSError) else str(error)
    line = (text.splitlines() or [""])[0] or type(error).__name__
    details = "".join(traceback.format_exception(error))
    write_text(run.folder / ERROR_LOG, f"{line}\n\n{details}")
    return line


def failure(run: Run) -> str | None:
    """Return the error of a run that another process did; None if the run is finished."""
    if state(run) == "finished":
        return None
    with contextlib.suppress(OSError):
        return (run.folder / ERROR_LOG).read_text(encoding="utf-8").splitlines()[0]
    return "its process ended without an error message (out of memory?)"


def attempt_in_process(run: Run, cpus: int | None, folder: str) -> str | None:
    """Call `attempt` in a new process.

    Args:
        run: The run to do.
        cpus: Number of threads; PyTorch's default if None.
        folder: Working directory, to which paths in the study are relative.
    """
    os.chdir(folder)
    if cpus is not None:
        torch.set_num_threads(cpus)
    (run.folder / ERROR_LOG).unlink(missing_ok=True)
    return attempt(run)
