"""Check a cases table and its images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agfnet.cli.command import CASES_COLUMNS, Command
from agfnet.config import CheckConfig
from agfnet.errors import DataError
from agfnet.terminal import bar, say

if TYPE_CHECKING:
    from agfnet.check.run import Checked


def check(config: CheckConfig) -> None:
    from agfnet.check.report import report_lines
    from agfnet.check.run import check_cases
    from agfnet.files import check_outputs, write_json, write_text

    check_outputs({"json": config.json, "html": config.html}, [config.cases])
    with bar("reading images") as progress:
        checked = check_cases(config, progress=progress)
    for line in report_lines(checked):
        say(line)
    if config.json is not None:
        write_json(Path(config.json), checked.as_json())
        say(f"Wrote {config.json}")
    if config.html is not None:
        from agfnet.check.page import findings_page

        write_text(Path(config.html), findings_page(checked))
        say(f"Wrote {config.html}")
    if config.fix is not None:
        _fix(config.fix, checked)
    counts = checked.counts()
    if counts["error"] or (config.strict and counts["warning"]):
        raise DataError(f"{config.cases}: {checked.summary()}")


def _fix(out: str, checked: Checked) -> None:
    from agfnet.check.fix import FIXED, fixed
    from agfnet.data.table import write_cases

    write_cases(fixed(checked.table.cases), Path(out), modalities=checked.table.modalities)
    count = sum(finding.name in FIXED for finding in checked.findings)
    say(f"Wrote {out}: {count} of {len(checked.findings)} findings are corrected there")
    if checked.unread:
        say(f"Warning: {checked.unread} rows that cannot be read are not in {out}", error=True)


COMMAND = Command(
    CheckConfig,
    check,
    examples=(
        "agfnet check cases.csv",
        "agfnet check cases.csv --json findings.json --strict",
        "agfnet check cases.csv --html findings.html --fix corrected.csv",
    ),
    docs="check.md",
    columns=CASES_COLUMNS,
)
