"""Whether the network serves some patients worse than others, from subgroups.json."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from agfnet.report.discrimination import cell
from agfnet.report.page import Section, drawing, table
from agfnet.report.plots_more import Panel, forest

SHOWN = {
    "accuracy": ("Accuracy", True),
    "balanced_accuracy": ("Balanced accuracy", True),
    "ece": ("Calibration error", True),
}
MOST = 40  # lines of the figure; the table shows all


def subgroups(found: Mapping[str, Any] | None) -> Section | None:
    """A forest plot and a table over all groups of all columns."""
    if not found or not found["columns"]:
        return None
    groups = [
        (f"{column.strip('()')}: {group['group']}", group)
        for column, content in found["columns"].items()
        for group in content["groups"]
    ]
    few = [bool(group["few"]) for _, group in groups]
    names = [f"{name} ({group['n']})" for name, group in groups]
    panels = [
        Panel(title, [group[key] for _, group in groups[:MOST]], percent)
        for key, (title, percent) in SHOWN.items()
    ]
    rows = [
        (
            name + ("\nfew lesions" if group["few"] else ""),
            f"{group['n']:,}",
            f"{group['patients']:,}",
            *(cell(group[key], percent=percent) for key, (_, percent) in SHOWN.items()),
        )
        for name, group in groups
    ]
    skipped = "".join(
        f'<p class="soft">Left out: {escape(column)} ({escape(why)}).</p>'
        for column, why in found.get("skipped", {}).items()
    )
    note = (
        " Groups in grey are so small that their place says little: an interval of a group in "
        "which nearly all are right, or nearly all wrong, is too narrow."
        if any(few)
        else ""
    )
    return Section(
        "subgroups",
        "For whom it works better or worse",
        "<p>Groups differ by chance too, and the more groups there are, the further apart the best "
        "and the worst lie. A difference is worth following up where the intervals do not meet. "
        "Groups may also hold other diagnoses.</p>"
        + drawing(
            forest(names[:MOST], panels, "Accuracy and calibration by subgroup", faint=few[:MOST]),
            f"Each group with 95 % intervals and, in brackets, its lesions.{note}",
            wide=True,
        )
        + table(
            "Subgroups", ("Group", "Lesions", "Patients", *(t for t, _ in SHOWN.values())), rows
        )
        + skipped,
    )
