"""Findings as lines of text: the first of each name, and the number of the others."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from agfnet.check.findings import FINDINGS, Finding, counted
from agfnet.check.run import Checked

MAX_SHOWN = 3
"""Findings of one name that are listed."""


def report_lines(checked: Checked) -> Iterator[str]:
    """Yield the lines that the terminal shows."""
    for name, group in groupby(checked.findings, key=lambda finding: finding.name):
        findings = list(group)
        yield f"{FINDINGS[name].severity}: {FINDINGS[name].title} ({name}, {len(findings)})"
        yield from map(_line, findings[:MAX_SHOWN])
        if len(findings) > MAX_SHOWN:
            yield f"    … and {len(findings) - MAX_SHOWN} more"
    read = f"{counted(checked.lesions, 'lesion')}, {counted(checked.images, 'file')} read"
    yield f"{checked.cases}: {read}: {checked.summary()}"


def _line(finding: Finding) -> str:
    row = f"row {finding.row}" if finding.row is not None else ""
    lesion = f"({finding.lesion})" if finding.lesion else ""
    prefix = " ".join(filter(None, (row, lesion, finding.column)))
    return f"    {prefix}: {finding.message}" if prefix else f"    {finding.message}"
