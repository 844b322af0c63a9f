"""Trees of image pairs, and the plan of a spreadsheet of which only one thing is awkward."""

from __future__ import annotations

from pathlib import Path

from agfnet.data.table import Case
from agfnet.importing.table import Plan, plan_table

from .hospital import photo, scan, table
from .workbooks import Cells, xlsx

DIAGNOSES = ("BCC", "NV")


def pairs(folder: Path, *names: str) -> None:
    """Write a photograph and a scan with the beginning of each name."""
    for number, name in enumerate(names):
        photo(folder / "d" / f"{name}photo.jpg", number)
        scan(folder / "d" / f"{name}us.png", number)


def patients(folder: Path, count: int = 4) -> list[str]:
    names = [f"P{number:03}" for number in range(1, count + 1)]
    pairs(folder, *(f"{name}/" for name in names))
    return names


def plan(folder: Path, content: list[str] | Cells, encoding: str = "utf-8") -> Plan:
    lines = [line for line in content if isinstance(line, str)]
    if lines:
        return plan_table(table(folder / "t.csv", lines, encoding), root=folder / "d")
    return plan_table(xlsx(folder / "t.xlsx", {"A": content}), root=folder / "d")


def complete(result: Plan, count: int) -> tuple[Case, ...]:
    """Return the cases, which must be as many, with one image of each modality and a label."""
    assert len(result.cases) == count
    for case in result.cases:
        assert [len(paths) for paths in case.images.values()] == [1, 1], case
        assert case.label
    return result.cases
