"""Compare two runs."""

from __future__ import annotations

from agfnet.cli.command import Command
from agfnet.config import CompareConfig
from agfnet.terminal import bar, show_comparison


def compare(config: CompareConfig) -> None:
    with bar("comparing"):
        from agfnet.report.run import run_comparison

        folder = run_comparison(config)
    show_comparison(folder)


COMMAND = Command(
    CompareConfig,
    compare,
    examples=("agfnet compare runs/first runs/second",),
    docs="evaluation.md",
    extra="report",
)
