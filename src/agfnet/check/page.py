"""Findings as a page with thumbnails."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from agfnet.check.findings import FINDINGS, Finding, counted
from agfnet.check.run import Checked
from agfnet.data.readers import read_image
from agfnet.data.table import Case
from agfnet.pages.blocks import Block, Card, CardImage, Cards, Section, Text, page
from agfnet.pages.thumbnails import SIDE, data_uri

MAX_SHOWN = 12
"""Findings of one name that have thumbnails."""


def findings_page(checked: Checked) -> str:
    """Return a page with a section for each name of findings."""
    cases = {case.row: case for case in checked.table}
    sections = []
    for name, group in groupby(checked.findings, key=lambda finding: finding.name):
        findings = list(group)
        lead = f"{FINDINGS[name].severity}, {counted(len(findings), 'finding')} ({name})"
        cards = [_card(finding, cases.get(finding.row or 0)) for finding in findings[:MAX_SHOWN]]
        blocks: list[Block] = [Text(lead, "soft"), Cards(cards)]
        if len(findings) > MAX_SHOWN:
            blocks.append(Text(f"… and {len(findings) - MAX_SHOWN} more: see --json", "soft"))
        sections.append(Section(name, FINDINGS[name].title, blocks))
    read = f"{counted(checked.lesions, 'lesion')}, {counted(checked.images, 'file')} read"
    lead = f"{read}: {checked.summary()}. The page has images of patients. Research use only."
    return page(f"Check of {Path(checked.cases).name}", [Text(lead, "lead")], sections)


def _card(finding: Finding, case: Case | None) -> Card:
    where = f"row {finding.row}" if finding.row is not None else "the table"
    title = " ".join(filter(None, (where, finding.lesion, finding.column)))
    paths = () if case is None else case.images.get(finding.column, ())
    return Card(title, [_thumbnail(path) for path in paths[:2]], [finding.message])


def _thumbnail(path: Path) -> CardImage:
    source = data_uri(lambda: read_image(path, side=SIDE).pixels)
    return CardImage(source, path.name, path.name)
