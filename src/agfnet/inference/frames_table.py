"""The frames table: the prediction for each frame combination of a lesion."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from agfnet.data.table import Case
from agfnet.files import replacing
from agfnet.inference.diagnosis import Diagnosis
from agfnet.inference.predictions import PREFIX


def companion_path(predictions: str | Path, name: str) -> Path:
    """Return the path of a further table: `NAME.csv` for `predictions.csv`, else `x_NAME.csv`."""
    path = Path(predictions)
    return path.with_name(
        f"{name}.csv" if path.stem == "predictions" else f"{path.stem}_{name}.csv"
    )


@contextmanager
def frames_table(
    path: Path, *, classes: Sequence[str], modalities: Sequence[str], folder: Path
) -> Iterator[Callable[[Case, Diagnosis], None]]:
    """Write the table, whole or not at all; yield a function that writes the rows of one case.

    Args:
        path: the CSV file.
        classes: in the order of the probabilities.
        modalities: names of the image columns.
        folder: the folder of the cases table, to which the paths of the images are relative.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(frame_header(classes, modalities))

        def write(case: Case, diagnosis: Diagnosis) -> None:
            writer.writerows(frame_rows(case, diagnosis, modalities=modalities, folder=folder))

        yield write


def frame_header(classes: Sequence[str], modalities: Sequence[str]) -> list[str]:
    """Return the columns: `lesion_id`, `frame` (from 0), one per modality, and `p_<class>`."""
    return ["lesion_id", "frame", *modalities, *(PREFIX + name for name in classes)]


def frame_rows(
    case: Case, diagnosis: Diagnosis, *, modalities: Sequence[str], folder: Path
) -> Iterator[list[object]]:
    """Yield the rows of one case, each with its images (empty if missing).

    A modality with fewer frames repeats them in turn.
    """

    def cell(image: Path | None) -> str:
        return "" if image is None else os.path.relpath(image, folder).replace(os.sep, "/")

    for number, (images, row) in enumerate(
        zip(diagnosis.images, diagnosis.frames.tolist(), strict=True)
    ):
        yield [case.lesion_id, number, *(cell(images.get(name)) for name in modalities), *row]


def count_missing(path: Path, modalities: Sequence[str]) -> dict[str, int]:
    """Return in how many lesions of a frames table each modality has no image; 0 is left out."""
    counts = dict.fromkeys(modalities, 0)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for name in modalities:
                counts[name] += row["frame"] == "0" and not row[name]
    return {name: count for name, count in counts.items() if count}
