"""Train a network, calibrate it on the validation split, and evaluate it on the test split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agfnet.config import EvaluateConfig, TrainConfig
from agfnet.data.folds import read_split
from agfnet.evaluation.calibrate import calibrate_run
from agfnet.evaluation.run import Progress
from agfnet.report.run import run_evaluation
from agfnet.training.fit import fit
from agfnet.training.processes import join
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
        folder = fit(config, plan=plan, progress=bar)
        join().on_first(lambda: score(folder, config, scoring, progress))
    return folder


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
