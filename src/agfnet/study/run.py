"""Train a network, calibrate it on the validation split, and evaluate it on the test split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from agfnet.config import EvaluateConfig, TrainConfig
from agfnet.data.folds import read_split
from agfnet.evaluation.calibrate import calibrate_run
from agfnet.evaluation.ensemble import read_members, write_members
from agfnet.evaluation.inputs import VALIDATION
from agfnet.evaluation.members import MEMBERS
from agfnet.evaluation.run import Progress
from agfnet.report.run import run_evaluation
from agfnet.terminal import say
from agfnet.training.cases import read_table
from agfnet.training.environment import ENVIRONMENT
from agfnet.training.fit import begin_run, fit
from agfnet.training.processes import join
from agfnet.training.run_folder import PLAN, SETTINGS, write_run
from agfnet.training.stopping import stopping_on_signals


def run(
    config: TrainConfig,
    *,
    plan: Sequence[Mapping[str, Any]] = (),
    scoring: EvaluateConfig | None = None,
    bar: bool = True,
    progress: Progress | None = None,
) -> Path:
    """Make a complete run folder; without a test split, nothing is evaluated.

    Args:
        config: Settings of the training.
        plan: Settings that were chosen, and why; written to plan.json.
        scoring: Settings of the evaluation of this run; the defaults if None.
        bar: Show Lightning's progress bar during training.
        progress: Called with the progress of calibration and evaluation.

    Returns:
        The run folder.

    Raises:
        AgfnetError: The settings, the data or the run folder are wrong.
        StoppedError: A signal of a scheduler has stopped the run, which can be continued.
    """
    with stopping_on_signals():
        folder = train(config, plan=plan, bar=bar)
        join().on_first(lambda: score(folder, config, scoring, progress))
    return folder


def train(config: TrainConfig, *, plan: Sequence[Mapping[str, Any]] = (), bar: bool = True) -> Path:
    """Train a network, or the members of an ensemble; return the run folder, not calibrated yet."""
    if config.members == 1:
        return fit(config, plan=plan, progress=bar)
    folder = Path(config.runs) / config.name
    table = read_table(config.data)
    world = join()
    with ExitStack() as held:
        if world.on_first(lambda: begin_run(folder, config, table, held)):
            world.on_first(lambda: write_run(folder, config, table, plan))
            try:
                runs = train_members(folder, config, bar=bar and world.first)
            except BaseException:
                if world.first:
                    forget_unstarted(folder)
                raise
            world.on_first(lambda: join_members(folder, runs))
    return folder


def train_members(folder: Path, config: TrainConfig, *, bar: bool) -> list[Path]:
    """Train the members of an ensemble that are not finished; return their run folders."""
    member = replace(config, runs=str(folder / MEMBERS), members=1, resume=True)
    runs = []
    for number in range(config.members):
        if bar:
            say(f"Member {number + 1} of {config.members}")
        seed = config.seed + number
        runs.append(fit(replace(member, name=f"seed{seed}", seed=seed), progress=bar))
    return runs


def forget_unstarted(folder: Path) -> None:
    """Remove the settings of an ensemble of which nothing was trained, so that its name is free."""
    members = folder / MEMBERS
    if not any(members.glob("*")):
        for name in (PLAN, SETTINGS, ENVIRONMENT):
            (folder / name).unlink(missing_ok=True)
        if members.is_dir():
            members.rmdir()


def join_members(folder: Path, runs: Sequence[Path]) -> None:
    """Calibrate the members of an ensemble, and write its bundle."""
    for run in runs:
        if not (run / VALIDATION).is_file():
            calibrate_run(run)
    write_members(folder, read_members(runs))


def score(
    folder: Path, config: TrainConfig, scoring: EvaluateConfig | None, progress: Progress | None
) -> None:
    """Calibrate a run, and evaluate it on the test split, if there is one."""
    calibrate_run(folder, progress=progress)
    data = config.data
    table = read_split(
        data.cases, modalities=tuple(data.modalities), fold=data.fold, check_files=False
    )  # training has checked the files
    if any(case.split == "test" for case in table):
        run_evaluation(scoring or EvaluateConfig(run=str(folder)), progress=progress)
