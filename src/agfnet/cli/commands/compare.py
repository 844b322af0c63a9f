"""Compare two runs."""

from __future__ import annotations

from agfnet.cli.command import Command
from agfnet.config import CompareConfig
from agfnet.terminal import show_comparison


def compare(config: CompareConfig) -> None:
    from agfnet.report.run import run_comparison

    show_comparison(run_comparison(config))


COMMAND = Command(CompareConfig, compare)
