"""Evaluate a run."""

from __future__ import annotations

from agfnet.cli.command import CASES_COLUMNS, Command
from agfnet.cli.threads import choose_threads
from agfnet.config import EvaluateConfig
from agfnet.terminal import bar, show_result


def evaluate(config: EvaluateConfig) -> None:
    with bar("evaluating") as progress:
        from agfnet.report.run import run_evaluation

        choose_threads()
        folder = run_evaluation(config, progress=progress)
    show_result(folder)


COMMAND = Command(
    EvaluateConfig,
    evaluate,
    examples=(
        "agfnet evaluate runs/first",
        "agfnet evaluate runs/first --cases other.csv --malignant '[MEL, BCC]'",
        "agfnet evaluate runs/first --robustness",
    ),
    docs="evaluation.md",
    columns=CASES_COLUMNS,
)
