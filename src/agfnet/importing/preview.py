"""The page that shows how an import was understood, with thumbnails."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agfnet.data.case import Case
from agfnet.data.readers import read_image
from agfnet.importing.table import Plan
from agfnet.pages.blocks import Bullets, Card, CardImage, Cards, Section, Table, Text, page
from agfnet.pages.thumbnails import SIDE, data_uri

MAX_CASES = 24
"""Lesions with thumbnails; they are taken evenly from all."""


def preview(plan: Plan, title: str) -> str:
    """Return a page with the columns, the rules, the notes and some lesions of a plan."""
    step = max(1, len(plan.cases) // MAX_CASES)
    cards = [_card(case) for case in plan.cases[::step][:MAX_CASES]]
    columns = Table("Columns", ("what", "column"), plan.columns, words=True)
    return page(
        title,
        [Text("How the spreadsheet and the files were understood. Research use only.", "lead")],
        [
            Section("columns", "Columns", [columns, Bullets(plan.rules)]),
            Section("notes", "Left out and changed", [Bullets(plan.notes)]) if plan.notes else None,
            Section("lesions", f"Some of {len(plan.cases)} lesions", [Cards(cards)]),
        ],
    )


def _card(case: Case) -> Card:
    images = [image for paths in case.images.values() for image in _thumbnails(paths)]
    counts = ", ".join(f"{len(paths)} {name}" for name, paths in case.images.items())
    return Card(
        f"{case.lesion_id}: {case.label or 'no label'}",
        images,
        [f"patient {case.patient_id}, row {case.row}", counts],
    )


def _thumbnails(paths: Sequence[Path]) -> list[CardImage]:
    return [_thumbnail(path) for path in paths[:2]]


def _thumbnail(path: Path) -> CardImage:
    source = data_uri(lambda: read_image(path, side=SIDE).pixels)
    return CardImage(source, path.name, path.name)
