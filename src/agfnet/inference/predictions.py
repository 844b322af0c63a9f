"""The predictions table: probabilities and label of each lesion."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agfnet.data.problems import Problems
from agfnet.data.rows import SEPARATOR_LINE
from agfnet.data.text_check import check_text
from agfnet.errors import DataError
from agfnet.files import replacing

COLUMNS = ("lesion_id", "patient_id", "label", "predicted")
PREFIX = "p_"
GROUP_PREFIX = "group_"
"""Columns with the sum of the probabilities of a group; they are computed, and not read again."""
SEPARATED = re.compile(rf'"?{COLUMNS[0]}"?([,;\t])')  # the header shows what separates the cells
DECISIONS = ("prediction_set", "ood_score", "abstain", "above_threshold", "out_of_distribution")
"""Fields that the calibration decides, None where it has no such part; see `decisions.csv`."""
TOLERANCE = 1e-3  # rows written with few decimals still sum to one within this
MAX_PROBLEMS_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Class probabilities of N lesions, one row each, with their labels where known.

    Raises:
        ValueError: the fields have different lengths.
    """

    classes: tuple[str, ...]
    lesion_id: tuple[str, ...]
    patient_id: tuple[str, ...]
    label: tuple[str, ...]  # one of the classes, or "" where unlabelled
    probabilities: npt.NDArray[np.float64]  # (N, C), rows sum to one
    prediction_set: npt.NDArray[np.bool_] | None = None  # (N, C), classes not ruled out
    abstain: npt.NDArray[np.bool_] | None = None  # (N,), too uncertain
    ood_score: npt.NDArray[np.float64] | None = None  # (N,), the higher, the less like training
    out_of_distribution: npt.NDArray[np.bool_] | None = None  # (N,)
    above_threshold: npt.NDArray[np.bool_] | None = None  # (N,), positive at the operating point
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)  # classes of each group
    distances: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    """By modality (N,), relative to the threshold; nan where the lesion has no image."""

    def __post_init__(self) -> None:
        rows = len(self.lesion_id)
        if len(self.patient_id) != rows or len(self.label) != rows:
            raise ValueError(
                f"{rows} lesion ids, {len(self.patient_id)} patient ids and "
                f"{len(self.label)} labels; expected the same number of each"
            )
        if self.probabilities.shape != (rows, len(self.classes)):
            raise ValueError(
                f"probabilities are {self.probabilities.shape}, "
                f"expected {(rows, len(self.classes))}"
            )
        for name in DECISIONS:
            values = getattr(self, name)
            expected = (rows, len(self.classes))[: 2 if name == "prediction_set" else 1]
            if values is not None and values.shape != expected:
                raise ValueError(f"{name} is {values.shape}, expected {expected}")

    def __len__(self) -> int:
        return len(self.lesion_id)

    @property
    def predicted(self) -> tuple[str, ...]:
        """Most probable class of each lesion; the first one if several are equal."""
        return tuple(self.classes[column] for column in self.probabilities.argmax(axis=1))

    @property
    def target(self) -> npt.NDArray[np.int64]:
        """Label of each lesion (N,) as an index into the classes; -1 where unlabelled."""
        index = {name: column for column, name in enumerate(self.classes)} | {"": -1}
        return np.array([index[name] for name in self.label], dtype=np.int64)

    def group_probabilities(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return the sum of the probabilities (N,) of each group."""
        return {
            group: group_sum(self.probabilities, np.isin(self.classes, list(names)))
            for group, names in self.groups.items()
        }

    def select(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> Predictions:
        """Return some rows, in the order of `rows`."""
        index = np.asarray(rows, dtype=np.int64)
        return Predictions(
            classes=self.classes,
            lesion_id=tuple(self.lesion_id[row] for row in rows),
            patient_id=tuple(self.patient_id[row] for row in rows),
            label=tuple(self.label[row] for row in rows),
            probabilities=self.probabilities[index],
            groups=self.groups,
            distances={name: values[index] for name, values in self.distances.items()},
            **{
                name: None if (values := getattr(self, name)) is None else values[index]
                for name in DECISIONS
            },
        )

    def labelled(self) -> Predictions:
        """Return the rows with a label."""
        return self.select([row for row, name in enumerate(self.label) if name])


def group_sum(
    probabilities: npt.NDArray[np.float64], members: npt.NDArray[np.bool_] | Sequence[bool]
) -> npt.NDArray[np.float64]:
    """Return the sum (N,) of the probabilities (N, C) of the member classes (C,)."""
    total = probabilities[:, np.asarray(members, dtype=bool)].sum(axis=1)
    return np.clip(total, 0, 1)  # rounding errors


def align(a: Predictions, b: Predictions) -> Predictions:
    """Return the rows and columns of b in the order of a.

    Raises:
        DataError: lesions, patients, labels or classes of the two tables differ.
    """
    if set(a.classes) != set(b.classes):
        raise DataError(
            f"the two tables have different classes: {', '.join(a.classes)} and "
            f"{', '.join(b.classes)}; compare predictions of the same classes"
        )
    row = {lesion: index for index, lesion in enumerate(b.lesion_id)}
    unmatched = sorted(set(a.lesion_id) ^ set(b.lesion_id))
    if unmatched:
        raise DataError(
            f"{len(unmatched)} labelled lesions are in one table only, first {unmatched[0]!r}; "
            "compare predictions of the same cases"
        )
    b = b.select([row[lesion] for lesion in a.lesion_id])
    for name in ("patient_id", "label"):
        for lesion, in_a, in_b in zip(a.lesion_id, getattr(a, name), getattr(b, name), strict=True):
            if in_a != in_b:
                raise DataError(
                    f"lesion {lesion!r}, column {name}: {in_a!r} in one table and {in_b!r} in "
                    "the other; score both against the same cases table"
                )
    columns = [b.classes.index(name) for name in a.classes]
    return Predictions(
        classes=a.classes,
        lesion_id=a.lesion_id,
        patient_id=a.patient_id,
        label=a.label,
        probabilities=b.probabilities[:, columns],
    )


def write_predictions(predictions: Predictions, path: str | Path) -> None:
    """Write the table as CSV; reading it back gives the same numbers to the last bit."""
    with (
        replacing(Path(path)) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(prediction_header(predictions.classes, predictions.groups))
        writer.writerows(prediction_rows(predictions))


def format_predictions(predictions: Predictions, digits: int) -> str:
    """Return the table as CSV, with as many significant digits of each probability."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(prediction_header(predictions.classes))
    first, end = len(COLUMNS), len(COLUMNS) + len(predictions.classes)
    for row in prediction_rows(predictions):
        writer.writerow([*row[:first], *(f"{number:.{digits}g}" for number in row[first:end])])
    return text.getvalue()


def prediction_header(classes: Sequence[str], groups: Iterable[str] = ()) -> list[str]:
    """Return the columns of the table."""
    return [
        *COLUMNS,
        *(PREFIX + name for name in classes),
        *(GROUP_PREFIX + name for name in groups),
    ]


def prediction_rows(predictions: Predictions) -> Iterator[list[object]]:
    """Yield the rows of the table."""
    sums = predictions.group_probabilities().values()
    numbers = np.column_stack([predictions.probabilities.astype(np.float64), *sums])
    for *row, values in zip(
        predictions.lesion_id,
        predictions.patient_id,
        predictions.label,
        predictions.predicted,
        numbers.tolist(),
        strict=True,
    ):
        yield [*row, *values]


def read_predictions(path: str | Path) -> Predictions:
    """Read and check a predictions table, also one that a spreadsheet program has saved.

    Cells are separated by commas, or by semicolons or tabs with decimal points or commas.

    Raises:
        DataError: the file is missing or not such a table; one line per problem.
    """
    path = Path(path)
    check_text(path, Problems(path))
    try:
        return parse_predictions(path.read_bytes().decode("utf-8-sig"), path)
    except csv.Error as error:
        raise DataError(
            f"{path}: is not valid CSV ({error}); save it again as CSV UTF-8"
        ) from error


def parse_predictions(text: str, path: Path) -> Predictions:
    """Return the content of a predictions table; see `read_predictions`.

    Args:
        text: content of the file.
        path: of the file, for messages.
    """
    first_line, _, others = text.partition("\n")
    skipped = 0
    if SEPARATOR_LINE.fullmatch(first_line.strip()):
        text, skipped = others, 1
    separator = SEPARATED.match(text)
    delimiter = separator[1] if separator else ","
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter)
    numbered = {number: row for number, row in enumerate(reader, start=skipped + 1) if any(row)}
    header, *rows = numbered.values() or [[]]
    while header[-1:] == [""] and all(row[len(header) - 1 :] == [""] for row in rows):
        header, rows = header[:-1], [row[:-1] for row in rows]  # a spreadsheet has added it
    if delimiter != ",":  # a spreadsheet in a language with decimal commas
        first = len(COLUMNS)
        rows = [[*row[:first], *(cell.replace(",", ".") for cell in row[first:])] for row in rows]
    end = len(header)
    while header[end - 1 : end] and header[end - 1].startswith(GROUP_PREFIX):
        end -= 1
    header, rows = header[:end], [row[:end] if len(row) == len(header) else row for row in rows]
    classes = tuple(name.removeprefix(PREFIX) for name in header[len(COLUMNS) :])
    _raise(path, _header_problems(header, classes))
    _raise(path, _row_problems(header, classes, dict(zip(list(numbered)[1:], rows, strict=True))))
    return Predictions(
        classes=classes,
        lesion_id=tuple(row[0] for row in rows),
        patient_id=tuple(row[1] for row in rows),
        label=tuple(row[2] for row in rows),
        probabilities=np.array([row[len(COLUMNS) :] for row in rows], dtype=np.float64).reshape(
            len(rows), len(classes)
        ),
    )


def _raise(path: Path, problems: Iterator[str]) -> None:
    texts = list(problems)
    if texts:
        lines = [f"{path}: {text}" for text in texts[:MAX_PROBLEMS_SHOWN]]
        if len(texts) > MAX_PROBLEMS_SHOWN:
            lines.append(f"{path}: and {len(texts) - MAX_PROBLEMS_SHOWN} more problems")
        raise DataError("\n".join(lines))


def _header_problems(header: list[str], classes: tuple[str, ...]) -> Iterator[str]:
    columns = header[len(COLUMNS) :]
    if tuple(header[: len(COLUMNS)]) != COLUMNS:
        yield (
            f"row 1: the columns begin {', '.join(header[: len(COLUMNS)]) or 'with nothing'}; "
            f"expected {', '.join(COLUMNS)}; rename or reorder them"
        )
    for name in columns:
        if not name.startswith(PREFIX) or name == PREFIX:
            yield f"row 1, column {name!r}: expected {PREFIX}<class>; remove or rename it"
        elif columns.count(name) > 1:
            yield f"row 1, column {name!r}: appears more than once; keep one"
    if len(classes) < 2:
        yield f"row 1: {len(classes)} probability columns ({PREFIX}<class>); expected two or more"


def _row_problems(
    header: list[str], classes: tuple[str, ...], rows: Mapping[int, list[str]]
) -> Iterator[str]:
    seen: dict[str, int] = {}
    for number, row in rows.items():  # as a spreadsheet counts, header first
        if len(row) != len(header):
            yield f"row {number}: {len(row)} cells; expected {len(header)}, one per column"
            continue
        lesion, patient, label, predicted = row[: len(COLUMNS)]
        first = seen.setdefault(lesion, number)
        if not lesion:
            yield f"row {number}, column lesion_id: is empty; give every lesion an id"
        elif first != number:
            yield f"row {number}, column lesion_id: {lesion!r} is also in row {first}; keep one"
        if not patient:
            yield f"row {number}, column patient_id: is empty; repeat the lesion id if unknown"
        if label and label not in classes:
            yield (
                f"row {number}, column label: {label!r} has no probability column; "
                f"expected {', '.join(classes)} or nothing"
            )
        values = []
        for name, cell in zip(header[len(COLUMNS) :], row[len(COLUMNS) :], strict=True):
            try:
                values.append(float(cell))
            except ValueError:
                values.append(np.nan)
            if not 0 <= values[-1] <= 1:
                yield f"row {number}, column {name}: {cell!r}; expected a number from 0 to 1"
        total = sum(values)
        if abs(total - 1) > TOLERANCE:
            yield f"row {number}: the probabilities sum to {total:.6g}; divide them by their sum"
        elif predicted not in classes or values[classes.index(predicted)] < max(values):
            yield (
                f"row {number}, column predicted: {predicted!r}; expected the most probable "
                f"class, {classes[values.index(max(values))]!r}"
            )
