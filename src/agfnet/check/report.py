"""Findings as lines of text: the first of each kind, and how many more there are."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from agfnet.check.findings import KINDS, Finding, counted
from agfnet.check.run import Checked

SHOWN = 3
"""Findings of one kind that are written out."""


def report_lines(checked: Checked) -> Iterator[str]:
    """What the terminal shows."""
    for kind, group in groupby(checked.findings, key=lambda finding: finding.kind):
        found = list(group)
        yield f"{KINDS[kind].severity}: {KINDS[kind].title} ({kind}, {len(found)})"
        yield from map(_line, found[:SHOWN])
        if len(found) > SHOWN:
            yield f"    … and {len(found) - SHOWN} more"
    read = f"{counted(checked.lesions, 'lesion')}, {counted(checked.images, 'file')} read"
    yield f"{checked.cases}: {read}: {checked.summary()}"


def _line(finding: Finding) -> str:
    row = f"row {finding.row}" if finding.row is not None else ""
    lesion = f"({finding.lesion})" if finding.lesion else ""
    place = " ".join(filter(None, (row, lesion, finding.column)))
    return f"    {place}: {finding.message}" if place else f"    {finding.message}"
