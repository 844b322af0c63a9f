"""Check the installation."""

from __future__ import annotations

from pathlib import Path

from agfnet.cli.command import Command
from agfnet.config import DoctorConfig
from agfnet.errors import AgfnetError
from agfnet.terminal import say


def doctor(config: DoctorConfig) -> None:
    from agfnet.doctor import examine, is_ready

    checks = []
    for check in examine(Path(config.runs), self_test=config.self_test):
        say(f"{check.status:8} {check.name}: {check.text}")
        checks.append(check)
    if not is_ready(checks):
        raise AgfnetError("this installation has problems; see the lines above")
    advice = sum(check.status == "advice" for check in checks)
    say(f"Ready, with {advice} points of advice." if advice else "Ready.")


COMMAND = Command(
    DoctorConfig,
    doctor,
    examples=("agfnet doctor", "agfnet doctor --self-test false"),
    docs="import.md",
)
