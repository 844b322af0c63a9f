"""Shared parts of the benchmarks that train with a time limit and test on the test split."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import torch

from agfnet.config import EvaluateConfig
from agfnet.inference.predictions import Predictions, read_predictions
from agfnet.report.run import run_evaluation
from agfnet.training import timing


def plan_by_time_of_the_cpu() -> None:
    """Let `auto` plan with the time of the CPU with one thread, whatever other work there is."""
    torch.set_num_threads(1)
    timing.time = SimpleNamespace(perf_counter=time.process_time)  # type: ignore[assignment, attr-defined]


def quick_evaluation(folder: Path) -> EvaluateConfig:
    """Return the settings of an evaluation that costs little besides the predictions."""
    return EvaluateConfig(run=str(folder), resamples=10, max_focus_lesions=0)


def tested(folder: Path) -> Predictions:
    """Return the predictions of a run on its test split, which is evaluated unless it was."""
    path = folder / "evaluation" / "test" / "predictions.csv"
    if not path.is_file():
        run_evaluation(quick_evaluation(folder))
    return read_predictions(path).labelled()
