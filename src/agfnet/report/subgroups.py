"""Section on subgroups of patients, from subgroups.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agfnet.pages.blocks import Figure, Section, Table, Text
from agfnet.report.plots.forest import Panel, forest
from agfnet.report.wording import cell

MEASURES = {
    "accuracy": ("Accuracy", True),
    "balanced_accuracy": ("Balanced accuracy", True),
    "ece": ("Calibration error", True),
}
MAX_ROWS_DRAWN = 40  # the table shows all


def subgroups(results: Mapping[str, Any] | None) -> Section | None:
    """A forest plot and a table of all groups of all columns."""
    if not results or not results["columns"]:
        return None
    groups = [
        (f"{column.strip('()')}: {row['group']}", row)
        for column, content in results["columns"].items()
        for row in content["groups"]
    ]
    drawn = groups[:MAX_ROWS_DRAWN]
    panels = [
        Panel(
            title=title,
            intervals=[row[key] for _, row in drawn],
            percent=percent,
            kinds=["few" if row["few"] else "" for _, row in drawn],
        )
        for key, (title, percent) in MEASURES.items()
    ]
    rows = [
        (
            name + ("\nfew lesions" if row["few"] else ""),
            f"{row['n']:,}",
            f"{row['patients']:,}",
            *(cell(row[key], percent=percent) for key, (_, percent) in MEASURES.items()),
        )
        for name, row in groups
    ]
    note = (
        " Groups in grey are too small to be judged: if nearly all of their predictions are "
        "correct, or nearly all wrong, the interval is too narrow."
        if any(row["few"] for _, row in groups)
        else ""
    )
    names = [f"{name} ({row['n']})" for name, row in drawn]
    head = ("Group", "Lesions", "Patients", *(title for title, _ in MEASURES.values()))
    return Section(
        "subgroups",
        "Subgroups",
        [
            Text(
                "Groups also differ by chance, and the more groups there are, the larger the "
                "difference between the best and the worst. A difference is worth following up "
                "where the intervals do not overlap. Groups may also differ in their diagnoses."
            ),
            Figure(
                forest(names, panels, "Accuracy and calibration by subgroup"),
                f"Each group with 95 % intervals and, in brackets, its number of lesions.{note}",
                wide=True,
            ),
            Table("Subgroups", head, rows),
            *(
                Text(f"Excluded: {column} ({reason}).", "soft")
                for column, reason in results.get("skipped", {}).items()
            ),
        ],
    )
