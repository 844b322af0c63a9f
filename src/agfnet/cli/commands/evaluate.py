"""Evaluate a run."""

from __future__ import annotations

from agfnet.cli.command import Command
from agfnet.config import EvaluateConfig
from agfnet.terminal import bar, show_result


def evaluate(config: EvaluateConfig) -> None:
    from agfnet.report.run import run_evaluation

    with bar("evaluating") as progress:
        folder = run_evaluation(config, progress=progress)
    show_result(folder)


COMMAND = Command(EvaluateConfig, evaluate)
