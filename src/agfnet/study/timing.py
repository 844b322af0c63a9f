"""Estimate of the training time of a study, from a few steps of each method on this machine."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from agfnet.study.plan import Study
from agfnet.training.timing import STEPS, run_seconds


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Estimated time of all runs of a study, one after the other."""

    seconds: float
    how: str
    """Description of the measurement, in a sentence."""


def estimate(study: Study) -> Estimate:
    """Time a few steps of each method, and extrapolate to all runs.

    The weights are random, so that nothing is downloaded. The images that are read go into the
    image cache, which the study uses as well.

    Raises:
        ConfigError, DataError: The settings or the table do not permit training.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    total = 0.0
    for method in study.methods:
        runs = [run for run in study.runs if run.method == method]
        total += len(runs) * run_seconds(runs[0].config, device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    threads = "" if device.type == "cuda" else f", {torch.get_num_threads()} threads"
    return Estimate(
        seconds=total,
        how=f"from {STEPS} steps of each method on this machine ({name}{threads}), for training "
        "without early stopping; evaluation is not included",
    )
