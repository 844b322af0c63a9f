"""Whether the network is as good for every kind of case, by every further column of the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from agfnet.data.table import Case
from agfnet.inference.predictions import Predictions
from agfnet.metrics.bootstrap import Interval
from agfnet.metrics.intervals import intervals
from agfnet.metrics.summary import LOWER_IS_BETTER, METRICS

REPORTED = ("accuracy", "balanced_accuracy", "macro_auc", "nll", "ece")
FEW = 30  # patients, below which a group is shown but cannot be called the worst
MOST = 20  # groups of a column
PARTS = 4  # groups of a column of numbers
MISSING = "(empty)"
VIEWS = "(views)"


def case_attributes(cases: Sequence[Case]) -> dict[str, tuple[str, ...]]:
    """The further columns of the cases table, and `(views)`: which modalities each case has."""
    names = dict.fromkeys(name for case in cases for name in case.attributes)
    found = {name: tuple(case.attributes.get(name, "") for case in cases) for name in names}
    views = tuple(
        " + ".join(name for name, images in case.images.items() if images) for case in cases
    )
    return found | {VIEWS: views}


def subgroups(
    predictions: Predictions,
    attributes: Mapping[str, Sequence[str]],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """What subgroups.json holds: the REPORTED metrics in every group of every column.

    A column of numbers with more than four different values is cut at its quartiles (equal values
    stay together); any other column makes a group per value. Empty cells are a group by themselves.
    Left out, with the reason, are columns with one value only and those with more than 20.

    The worst group of a metric is that with the worst value among those of 30 patients or more.
    The worst of many groups looks worse than it is, for it is chosen by its chance errors too: read
    its interval against the value over all cases.

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
    metrics = {name: METRICS[name] for name in REPORTED}
    for column, cells in attributes.items():
        groups, kind = _groups([cells[row] for row in rows.tolist()])
        if len(groups) < 2:
            skipped[column] = "one value only"
            continue
        if len(groups) > MOST:
            skipped[column] = f"{len(groups)} different values, more than {MOST}"
            continue
        overall = overall or intervals(cases, metrics, resamples=resamples, seed=seed)
        table = []
        for group, members in groups.items():
            part = cases.select(members)
            patients = len(set(part.patient_id))
            table.append(
                {"group": group, "n": len(part), "patients": patients, "few": patients < FEW}
                | intervals(part, metrics, resamples=resamples, seed=seed)
            )
        worst = {name: _worst(table, name, overall[name].value) for name in REPORTED}
        columns[column] = {"kind": kind, "groups": table, "worst": worst}
    return {"n": len(cases), "overall": overall, "columns": columns, "skipped": skipped}


def _worst(table: list[dict[str, Any]], metric: str, overall: float) -> dict[str, Any] | None:
    """The worst of the groups that are large enough, where two or more can be compared."""
    able = [row for row in table if not row["few"] and np.isfinite(row[metric].value)]
    if len(able) < 2:
        return None
    sign = 1 if metric in LOWER_IS_BETTER else -1
    row = max(able, key=lambda row: sign * row[metric].value)
    return {"group": row["group"], **row[metric]._asdict(), "overall": overall}


def _groups(cells: Sequence[str]) -> tuple[dict[str, npt.NDArray[np.int64]], str]:
    """Name of each group to its rows, in a sensible order, and how the groups were made."""
    filled = [cell for cell in cells if cell]
    numbers = _numbers(filled)
    kind, names = "category", [cell or MISSING for cell in cells]
    order = sorted(set(filled))
    if numbers is not None and len(np.unique(numbers)) > PARTS:
        kind = "quartile"
        order, named = _quartiles(numbers)
        following = iter(named)
        names = [next(following) if cell else MISSING for cell in cells]
    array = np.array(names, dtype=object)
    found = {name: np.flatnonzero(array == name) for name in [*order, MISSING]}
    return {name: rows for name, rows in found.items() if len(rows)}, kind


def _numbers(cells: Sequence[str]) -> npt.NDArray[np.float64] | None:
    try:
        found = np.array([float(cell) for cell in cells])
    except ValueError:
        return None
    return found if np.isfinite(found).all() else None


def _quartiles(numbers: npt.NDArray[np.float64]) -> tuple[list[str], list[str]]:
    """Names of the quarters, from the lowest, and the quarter of each number."""
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, PARTS + 1)[1:-1], method="lower"))
    place = np.searchsorted(edges, numbers, side="left")  # a number at an edge is below it
    spans = {}
    for part in np.unique(place):
        inside = numbers[place == part]
        low, high = inside.min(), inside.max()
        spans[part] = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    return list(spans.values()), [spans[part] for part in place]
