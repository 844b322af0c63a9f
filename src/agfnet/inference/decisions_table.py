"""The decisions table: what the calibration decides for each lesion."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from agfnet.files import replacing
from agfnet.inference.familiarity import FOREIGN
from agfnet.inference.frames_table import companion_path
from agfnet.inference.predictions import Predictions

SET_PREFIX = "set_"
DISTANCE_PREFIX = "distance_"
Cells = list[int] | list[float] | list[float | str]


def write_decisions(predictions: Predictions, path: str | Path) -> Path | None:
    """Write `decisions.csv` next to `predictions.csv` (`x_decisions.csv` next to `x.csv`).

    Columns: `lesion_id`, then, where the calibration has them, `set_<class>` (1: cannot be ruled
    out), `ood_score` (the higher, the less like the training cases), `abstain`,
    `above_threshold` (positive at the operating point of the malignant group) and
    `out_of_distribution` (1 or 0). With statistics of the training images also
    `distance_<modality>` (relative to the threshold) and `foreign` (1: the picture is of another
    kind, and the prediction has no meaning).

    Args:
        predictions: the predictions.
        path: of the predictions table.

    Returns:
        The file; None if there is no column, and then an older file is removed.
    """
    target = companion_path(path, "decisions")
    columns = decision_columns(predictions)
    if not columns:
        target.unlink(missing_ok=True)
        return None
    with replacing(target) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["lesion_id", *columns])
        writer.writerows(decision_rows(predictions))
    return target


def decision_rows(predictions: Predictions) -> Iterator[tuple[object, ...]]:
    """Return the rows of the table: lesion and cells."""
    return zip(predictions.lesion_id, *decision_columns(predictions).values(), strict=True)


def decision_columns(predictions: Predictions) -> dict[str, Cells]:
    """Return the cells of each column."""
    columns: dict[str, Cells] = {}
    if predictions.prediction_set is not None:
        for name, members in zip(predictions.classes, predictions.prediction_set.T, strict=True):
            columns[SET_PREFIX + name] = members.astype(int).tolist()
    if predictions.ood_score is not None:
        columns["ood_score"] = predictions.ood_score.astype(np.float64).tolist()
    for name in ("abstain", "above_threshold", "out_of_distribution"):
        if (values := getattr(predictions, name)) is not None:
            columns[name] = values.astype(int).tolist()
    for name, distances in predictions.distances.items():
        columns[DISTANCE_PREFIX + name] = ["" if np.isnan(d) else d for d in distances.tolist()]
    if predictions.distances:
        farthest = np.fmax.reduce(list(predictions.distances.values()))
        columns["foreign"] = (farthest >= FOREIGN).astype(int).tolist()
    return columns


def count_foreign(path: Path) -> int:
    """Return how many lesions of a decisions table have a picture of another kind."""
    if not path.is_file():
        return 0
    with path.open(encoding="utf-8", newline="") as file:
        return sum(row.get("foreign") == "1" for row in csv.DictReader(file))
