"""Performance in subgroups: by every further column of the cases table and by available images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from agfnet.data.table import Case
from agfnet.inference.predictions import Predictions
from agfnet.metrics.bootstrap import Interval, bootstrap
from agfnet.metrics.calibration import CENTRES
from agfnet.metrics.metric import Floats, Integers
from agfnet.metrics.summary import LOWER_IS_BETTER, summary

REPORTED = ("accuracy", "balanced_accuracy", "macro_auc", "nll", "ece")
MIN_PATIENTS = 30  # a smaller group is shown but cannot be the worst
MAX_GROUPS = 20  # of a column
QUARTERS = 4  # groups of a column of numbers
MISSING = "(empty)"
VIEWS = "(views)"


def case_attributes(cases: Sequence[Case]) -> dict[str, tuple[str, ...]]:
    """Return the further columns of the cases table, and `(views)`: the modalities of each case."""
    names = dict.fromkeys(name for case in cases for name in case.attributes)
    columns = {name: tuple(case.attributes.get(name, "") for case in cases) for name in names}
    views = tuple(
        " + ".join(name for name, images in case.images.items() if images) for case in cases
    )
    return columns | {VIEWS: views}


def subgroups(
    predictions: Predictions,
    attributes: Mapping[str, Sequence[str]],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the content of subgroups.json: the REPORTED metrics in every group of every column.

    A column of numbers with more than four different values is cut at its quartiles (equal values
    stay together); any other column makes one group per value. Empty cells are a separate group.
    Columns with only one value and those with more than 20 are left out, with the reason.

    The worst group of a metric is that with the worst value among those of 30 patients or more.
    The worst of many groups looks worse than it is, because it is also selected for its chance
    errors: read its interval against the value over all cases.

    Args:
        predictions: the table; only labelled rows count.
        attributes: column to a cell per row of the table.
        resamples: of the patients of each group.
        seed: of the resampling.
    """
    rows = np.flatnonzero(predictions.target >= 0)
    cases = predictions.select(rows)
    columns: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    overall: dict[str, Interval] = {}
    for column, cells in attributes.items():
        groups, kind = group_cells([cells[row] for row in rows.tolist()])
        if len(groups) < 2:
            skipped[column] = "one value only"
            continue
        if len(groups) > MAX_GROUPS:
            skipped[column] = f"{len(groups)} different values, more than {MAX_GROUPS}"
            continue
        overall = overall or _intervals(cases, resamples, seed)
        table = []
        for group, members in groups.items():
            part = cases.select(members)
            patients = len(set(part.patient_id))
            table.append(
                {"group": group, "n": len(part), "patients": patients}
                | {"few": patients < MIN_PATIENTS}
                | _intervals(part, resamples, seed)
            )
        worst = {name: _worst(table, name, overall[name].value) for name in REPORTED}
        columns[column] = {"kind": kind, "groups": table, "worst": worst}
    return {"n": len(cases), "overall": overall, "columns": columns, "skipped": skipped}


def _intervals(cases: Predictions, resamples: int, seed: int) -> dict[str, Interval]:
    return bootstrap(
        cases.patient_id,
        summary(cases.probabilities, cases.target, REPORTED),
        resamples=resamples,
        seed=seed,
        centres=CENTRES,
    )


def _worst(table: list[dict[str, Any]], metric: str, overall: float) -> dict[str, Any] | None:
    """The worst of the groups that are large enough, if two or more can be compared."""
    comparable = [row for row in table if not row["few"] and np.isfinite(row[metric].value)]
    if len(comparable) < 2:
        return None
    sign = 1 if metric in LOWER_IS_BETTER else -1
    row = max(comparable, key=lambda row: sign * row[metric].value)
    return {"group": row["group"], **row[metric]._asdict(), "overall": overall}


def group_cells(cells: Sequence[str]) -> tuple[dict[str, Integers], str]:
    """Return the rows of each group by its name, in order, and `category` or `quartile`."""
    filled = [cell for cell in cells if cell]
    numbers = _numbers(filled)
    kind, names = "category", [cell or MISSING for cell in cells]
    order = sorted(set(filled))
    if numbers is not None and len(np.unique(numbers)) > QUARTERS:
        kind = "quartile"
        order, quarters = _quartiles(numbers)
        remaining = iter(quarters)
        names = [next(remaining) if cell else MISSING for cell in cells]
    array = np.array(names, dtype=object)
    rows = {name: np.flatnonzero(array == name) for name in [*order, MISSING]}
    return {name: members for name, members in rows.items() if len(members)}, kind


def _numbers(cells: Sequence[str]) -> Floats | None:
    try:
        numbers = np.array([float(cell) for cell in cells])
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _quartiles(numbers: Floats) -> tuple[list[str], list[str]]:
    """Names of the quarters, from the lowest, and the name for each number."""
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, QUARTERS + 1)[1:-1], method="lower"))
    quarter = np.searchsorted(edges, numbers, side="left")  # a number at an edge is below it
    names = {}
    for index in np.unique(quarter):
        members = numbers[quarter == index]
        # all digits: quarters whose names are equal, as of dates like 20230101, would be one group
        low, high = (f"{end:.15g}" for end in (members.min(), members.max()))
        names[index] = low if low == high else f"{low} to {high}"
    return list(names.values()), [names[index] for index in quarter]
