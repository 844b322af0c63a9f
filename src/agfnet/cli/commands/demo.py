"""Train and compare four networks on a phantom cohort."""

from __future__ import annotations

from agfnet.cli.command import Command
from agfnet.cli.threads import choose_threads
from agfnet.config import DemoConfig
from agfnet.terminal import bar


def demo(config: DemoConfig) -> None:
    with bar("loading"):
        from agfnet.demo import run_demo

    choose_threads()
    run_demo(config)


COMMAND = Command(
    DemoConfig,
    demo,
    examples=(
        "agfnet demo",
        "agfnet demo --out demo --lesions 300 --epochs 5",
    ),
    docs="phantom.md",
    extra="train",
)
