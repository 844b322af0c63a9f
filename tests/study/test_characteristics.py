"""Table 1: counts of patients and lesions by class."""

from __future__ import annotations

from pathlib import Path

import pytest

from agfnet.data.table import Case
from agfnet.study.characteristics import Cohort, characteristics

ROWS = [  # patient, label, split, age, sex, site, has ultrasound
    ("p1", "naevus", "train", "30", "f", "arm", True),
    ("p1", "naevus", "train", "", "", "leg", False),
    ("p1", "melanoma", "train", "30", "f", "leg", True),
    ("p2", "melanoma", "test", "50", "m", "N/A", True),
    ("p3", "naevus", "test", "70", "m", "leg", True),
    ("p4", "naevus", "test", "unknown", "", "arm", True),
]


def cohort(rows=ROWS, names=("age_approx", "Sex", "anatom_site")) -> Cohort:
    cases = tuple(
        Case(
            lesion_id=str(number),
            patient_id=patient,
            label=label,
            images={"clinical": (Path("a"),), "ultrasound": (Path("b"),) if complete else ()},
            masks={},
            split=split,
            attributes=dict(zip(names, cells, strict=True)),
            row=number,
        )
        for number, (patient, label, split, *cells, complete) in enumerate(rows)
    )
    return Cohort(
        cases=cases,
        classes=("melanoma", "naevus"),
        modalities=("clinical", "ultrasound"),
        excluded=2,
        tables=("cases.csv",),
    )


def test_patients_count_once_and_lesions_each():
    table = characteristics(cohort())
    assert table.head == ("", "All", "melanoma", "naevus")
    rows = {title: cells for title, *cells in table.rows}
    assert rows == {
        "Patients": ["4", "2", "3"],
        "Lesions": ["6", "2", "4"],
        "Lesions in train": ["3", "1", "2"],
        "Lesions in test": ["3", "1", "2"],
        "Age, median (quartiles)": [
            "50 (40 to 60)\n1 unknown",
            "40 (35 to 45)",
            "50 (40 to 60)\n1 unknown",
        ],
        "Sex: m": ["2 (50\u00a0%)", "1 (50\u00a0%)", "1 (33\u00a0%)"],
        "Sex: f": ["1 (25\u00a0%)", "1 (50\u00a0%)", "1 (33\u00a0%)"],
        "Sex: unknown": ["1 (25\u00a0%)", "0 (0\u00a0%)", "1 (33\u00a0%)"],
        "Site: leg": ["3 (50\u00a0%)", "1 (50\u00a0%)", "2 (50\u00a0%)"],
        "Site: arm": ["2 (33\u00a0%)", "0 (0\u00a0%)", "2 (50\u00a0%)"],
        "Site: unknown": ["1 (17\u00a0%)", "1 (50\u00a0%)", "0 (0\u00a0%)"],
        "Without ultrasound": ["1 (17\u00a0%)", "0 (0\u00a0%)", "1 (25\u00a0%)"],
    }
    assert "age_approx, Sex, anatom_site" in table.note
    assert "2 lesions without a label" in table.note


def test_rare_sites_are_summed_up():
    rows = [("p", "naevus", "", "1", "f", f"site {number}", True) for number in range(15)]
    titles = [row[0] for row in characteristics(cohort(rows)).rows]
    assert sum(title.startswith("Site: site") for title in titles) == 12
    counts = {row[0]: row[1] for row in characteristics(cohort(rows)).rows}
    assert counts["Site: other"] == "3 (20\u00a0%)"


@pytest.mark.parametrize("names", [("page", "sexton", "website_a"), ("a", "b", "c")])
def test_columns_of_other_names_are_not_taken(names):
    table = characteristics(cohort(names=names))
    assert [row[0] for row in table.rows][-1] == "Without ultrasound"
    assert len(table.rows) == 5
    assert "none of age, sex and site" in table.note
