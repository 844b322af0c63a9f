"""Check a cases table and its images."""

from __future__ import annotations

from pathlib import Path

from agfnet.cli.command import CASES_COLUMNS, Command
from agfnet.config import CheckConfig
from agfnet.errors import DataError
from agfnet.terminal import bar, say


def check(config: CheckConfig) -> None:
    from agfnet.check.report import report_lines
    from agfnet.check.run import check_cases
    from agfnet.files import write_json

    with bar("reading images") as progress:
        checked = check_cases(config, progress=progress)
    for line in report_lines(checked):
        say(line)
    if config.json is not None:
        write_json(Path(config.json), checked.as_json())
        say(f"Wrote {config.json}")
    counts = checked.counts()
    if counts["error"] or (config.strict and counts["warning"]):
        raise DataError(f"{config.cases}: {checked.summary()}")


COMMAND = Command(
    CheckConfig,
    check,
    examples=(
        "agfnet check cases.csv",
        "agfnet check cases.csv --json findings.json --strict",
    ),
    docs="check.md",
    columns=CASES_COLUMNS,
)
