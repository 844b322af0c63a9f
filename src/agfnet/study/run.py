"""One run from start to end: train, calibrate on the validation, evaluate on the test split."""

from __future__ import annotations

from pathlib import Path

from agfnet.config import EvaluateConfig, TrainConfig
from agfnet.data.folds import read_split
from agfnet.evaluation.runs import Progress, calibrate_run, evaluate_run
from agfnet.training.fit import fit


def run(
    config: TrainConfig,
    *,
    scoring: EvaluateConfig | None = None,
    bar: bool = True,
    progress: Progress | None = None,
) -> Path:
    """Make a run folder with everything in it; without a test split, nothing is evaluated.

    Args:
        config: the settings.
        scoring: how to evaluate, of this very run; by default the plain settings.
        bar: show Lightning's progress bar during training.
        progress: told about calibration and evaluation.

    Returns:
        The run folder.

    Raises:
        AgfnetError: whatever is wrong with settings, data or the run folder.
    """
    folder = fit(config, progress=bar)
    calibrate_run(folder, progress=progress)
    data = config.data
    table = read_split(
        data.cases, modalities=tuple(data.modalities), fold=data.fold, check_files=False
    )  # files are checked above
    if any(case.split == "test" for case in table):
        evaluate_run(scoring or EvaluateConfig(run=str(folder)), progress=progress)
    return folder
