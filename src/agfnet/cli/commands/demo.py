"""Train and compare four networks on a phantom cohort."""

from __future__ import annotations

from agfnet.cli.command import Command
from agfnet.config import DemoConfig


def demo(config: DemoConfig) -> None:
    from agfnet.demo import run_demo

    run_demo(config)


COMMAND = Command(DemoConfig, demo)
