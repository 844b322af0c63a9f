"""Section on subgroups of patients, from subgroups.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agfnet.evaluation.subgroups import MISSING, VIEWS
from agfnet.pages.blocks import Figure, Section, Table, Text
from agfnet.report.plots.forest import Panel, forest
from agfnet.report.wording import cell
from agfnet.translation import display_name, joined, t, translate_filled

MEASURES = {
    "accuracy": ("Accuracy", True),
    "balanced_accuracy": ("Balanced accuracy", True),
    "ece": ("Calibration error", True),
}
MAX_ROWS_DRAWN = 40  # the table shows all
Group = tuple[str, Mapping[str, Any]]  # name, and results from subgroups.json


def subgroups(results: Mapping[str, Any] | None) -> Section | None:
    """A forest plot and a table of all groups of all columns."""
    if not results or not results["columns"]:
        return None
    groups = named_groups(results["columns"])
    return Section(
        "subgroups",
        t("Subgroups"),
        [
            Text(
                t(
                    "Groups also differ by chance, and the more groups there are, the larger the "
                    "difference between the best and the worst. A difference is worth following up "
                    "where the intervals do not overlap. Groups may also differ in their diagnoses."
                )
            ),
            group_plot(groups),
            group_table(groups),
            *(
                Text(t("Excluded: {names}.", names=left_out(column, reason)), "soft")
                for column, reason in results.get("skipped", {}).items()
            ),
        ],
    )


def named_groups(columns: Mapping[str, Any]) -> list[Group]:
    """Return the name for readers and the results of each group of each column."""
    return [
        (
            t(
                "{name}: {text}",
                name=column_name(column),
                text=group_name(row["group"], content["kind"]),
            ),
            row,
        )
        for column, content in columns.items()
        for row in content["groups"]
    ]


def group_plot(groups: Sequence[Group]) -> Figure:
    """A forest plot with a panel for each measure."""
    drawn = groups[:MAX_ROWS_DRAWN]
    panels = [
        Panel(
            title=t(title),
            intervals=[row[key] for _, row in drawn],
            percent=percent,
            kinds=["few" if row["few"] else "" for _, row in drawn],
        )
        for key, (title, percent) in MEASURES.items()
    ]
    captions = [t("Each group with 95 % intervals and, in brackets, its number of lesions.")]
    if any(row["few"] for _, row in groups):
        captions.append(
            t(
                "Groups in grey are too small to be judged: if nearly all of their predictions are "
                "correct, or nearly all wrong, the interval is too narrow."
            )
        )
    names = [f"{name} ({row['n']})" for name, row in drawn]
    alternative = t("Accuracy and calibration by subgroup")
    return Figure(forest(names, panels, alternative), joined(captions), wide=True)


def group_table(groups: Sequence[Group]) -> Table:
    """A row for each group."""
    titles = (t(title) for title, _ in MEASURES.values())
    rows = [
        (
            name + ("\n" + t("few patients") if row["few"] else ""),
            f"{row['n']:,}",
            f"{row['patients']:,}",
            *(cell(row[key], percent=percent) for key, (_, percent) in MEASURES.items()),
        )
        for name, row in groups
    ]
    return Table(t("Subgroups"), (t("Group"), t("Lesions"), t("Patients"), *titles), rows)


def column_name(column: str) -> str:
    """Return the name of a column for readers: `(views)` is ours, all others are the user's."""
    return t("views") if column == VIEWS else column


def group_name(group: str, kind: str) -> str:
    """Return the name of a group: our own are ranges of numbers, empty cells, and modalities."""
    if kind == "quartile" and " to " in group:
        low, high = group.split(" to ")
        return t("{low} to {high}", low=low, high=high)
    return t("(empty)") if group == MISSING else " + ".join(map(display_name, group.split(" + ")))


def left_out(column: str, reason: str) -> str:
    """Say why a column has no groups."""
    return column_name(column) + t(" ({part})", part=translate_filled(reason))
