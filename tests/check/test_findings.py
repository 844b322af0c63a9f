from __future__ import annotations

import re
from pathlib import Path

from agfnet.check.duplicates import DUPLICATES as RELATIONS
from agfnet.check.findings import FINDINGS, SEVERITIES, Findings, counted
from agfnet.data.table import Case

DOCS = Path(__file__).parents[2] / "docs" / "check.md"


def test_the_docs_list_every_kind() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]+) \|", DOCS.read_text("utf-8"), re.MULTILINE)
    assert rows == [(name, kind.severity, kind.title) for name, kind in FINDINGS.items()]


def test_every_kind_of_duplicate_is_a_kind() -> None:
    assert set(RELATIONS) <= FINDINGS.keys()


def test_the_gravest_come_first_then_the_order_of_rows() -> None:
    def case(row: int) -> Case:
        return Case(f"L{row}", "P", "", {}, {}, "", {}, row)

    findings = Findings()
    for kind, row in (("spacing", 2), ("frame_sizes", 1), ("constant", 9), ("constant", 3)):
        findings.add(kind, "x", case=case(row))
    findings.add("constant", "y", column="clinical")
    found = [(each.name, each.row) for each in findings.sorted()]
    assert found == [
        *[("constant", None), ("constant", 3), ("constant", 9)],
        *[("spacing", 2), ("frame_sizes", 1)],
    ]
    assert {kind.severity for kind in FINDINGS.values()} == set(SEVERITIES)


def test_counted() -> None:
    assert [counted(n, "lesion") for n in range(3)] == ["0 lesions", "1 lesion", "2 lesions"]
