"""The frames table: what the network says about each frame of a lesion by itself."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from agfnet.data.table import Case
from agfnet.files import replacing
from agfnet.inference.predictions import PREFIX
from agfnet.inference.predictor import Diagnosis


def frames_path(predictions: str | Path) -> Path:
    """Where the frames go: `frames.csv` beside `predictions.csv`, `x_frames.csv` beside `x.csv`."""
    return beside(predictions, "frames")


def beside(predictions: str | Path, name: str) -> Path:
    """A table that belongs to a predictions table, in the same folder."""
    path = Path(predictions)
    return path.with_name(
        f"{name}.csv" if path.stem == "predictions" else f"{path.stem}_{name}.csv"
    )


@contextmanager
def frames_table(
    path: Path, *, classes: Sequence[str], modalities: Sequence[str], folder: Path
) -> Iterator[Callable[[Case, Diagnosis], None]]:
    """Write the table, whole or not at all; gives what writes the rows of one case.

    Args:
        path: the CSV file.
        classes: in the order of the probabilities.
        modalities: names of the image columns.
        folder: that paths are written relative to: the folder of the cases table.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(frame_header(classes, modalities))

        def write(case: Case, diagnosis: Diagnosis) -> None:
            writer.writerows(frame_rows(case, diagnosis, modalities=modalities, folder=folder))

        yield write


def frame_header(classes: Sequence[str], modalities: Sequence[str]) -> list[str]:
    """Columns: `lesion_id`, `frame` (counted from 0), one per modality, and `p_<class>`."""
    return ["lesion_id", "frame", *modalities, *(PREFIX + name for name in classes)]


def frame_rows(
    case: Case, diagnosis: Diagnosis, *, modalities: Sequence[str], folder: Path
) -> Iterator[list[object]]:
    """Rows of one case, each with the images that went through the network (empty if missing).

    A modality with fewer frames repeats them in turn.
    """

    def cell(image: Path | None) -> str:
        return "" if image is None else os.path.relpath(image, folder).replace(os.sep, "/")

    for number, (images, row) in enumerate(
        zip(diagnosis.images, diagnosis.frames.tolist(), strict=True)
    ):
        yield [case.lesion_id, number, *(cell(images.get(name)) for name in modalities), *row]
