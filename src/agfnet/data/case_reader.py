"""Cases from the rows of a table, one at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from agfnet.data.boxes import add_boxes
from agfnet.data.case import COLUMNS, JOIN, SPLITS, Case, box_column, mask_column
from agfnet.data.image_cells import PathCells, names_file
from agfnet.data.problems import Problems, StrPath
from agfnet.data.rows import Row, read_rows
from agfnet.data.spelling import (
    LABEL_COLUMNS,
    PATIENT_COLUMNS,
    column_key,
    is_placeholder,
    label_key,
    patient_key,
    same_looking,
    usual_spellings,
)
from agfnet.data.write_table import check_modalities

_OTHER_NAMES = {"patient_id": PATIENT_COLUMNS, "label": LABEL_COLUMNS}


def iterate_cases(
    path: StrPath,
    problems: Problems,
    *,
    modalities: Sequence[str],
    check_files: bool,
    check_boxes: bool = True,
    masks: bool = True,
    compare: bool = True,
    start: int = 0,
    stop: int | None = None,
) -> Iterator[Case]:
    """Return the cases of a table one at a time, as they stand there.

    Args:
        path: the CSV file.
        problems: where to add the problems of the rows; the caller raises them.
        modalities: names of the image columns.
        check_files: also check every image and mask file.
        check_boxes: see `read_cases`.
        masks: also read the columns of lesion masks.
        compare: also find contradictions to earlier rows; the ids of all rows are then held.
        start: number of cases to skip at the beginning.
        stop: the case to end before, counted from 0; None reads to the end.

    Raises:
        ConfigError, DataError: as `read_cases`; while cases are taken, what leaves no rows to read.
    """
    check_modalities(modalities)
    path = Path(path).absolute()
    table = read_rows(path, problems, required=("lesion_id", *modalities))
    _note_misspelled(table.columns, modalities, problems)
    paths = PathCells(path, problems, check_files=check_files)
    check_boxes = check_files and check_boxes
    reader = _CaseReader(
        paths, modalities, problems, check_boxes=check_boxes, masks=masks, compare=compare
    )
    return reader.read_all(islice(table.rows, start, stop))


def _note_misspelled(columns: Sequence[str], modalities: Sequence[str], problems: Problems) -> None:
    """Note optional columns that are there in another spelling alone, and hence not used."""
    further = (*map(mask_column, modalities), *map(box_column, modalities))
    for name in (*COLUMNS, "fold", *further):
        keys = {column_key(name)} | _OTHER_NAMES.get(name, set())
        others = [column for column in columns if column_key(column) in keys]
        if others and name not in columns:
            problems.note(
                f"there is no such column; {others[0]!r} is not used as one: rename it to {name}",
                row=None,
                column=name,
                finding="column_spelling",
            )


class _CaseReader:
    """Turns rows into cases, and finds contradictions to earlier rows."""

    def __init__(
        self,
        paths: PathCells,
        modalities: Sequence[str],
        problems: Problems,
        *,
        check_boxes: bool,
        masks: bool,
        compare: bool,
    ) -> None:
        self._modalities = tuple(modalities)
        further = (*map(mask_column, modalities), *map(box_column, modalities))
        self._columns = {*COLUMNS, *modalities, *further}
        self._check_boxes = check_boxes
        self._masked = self._modalities if masks else ()
        self._problems = problems
        self._paths = paths
        self._compare = compare
        self._lesions: dict[str, int] = {}
        self._spellings: dict[str, tuple[str, int]] = {}
        self._labels = Counter[str]()
        self._label_rows: dict[str, int] = {}
        self._patients: dict[str, tuple[str, int]] = {}
        self._with_patient = 0
        self._without_patient: list[int] = []
        self._with_hash: list[int] = []
        self._without_hash = 0

    def read_all(self, rows: Iterable[Row]) -> Iterator[Case]:
        """Yield the cases of rows, and then add the problems of all labels together."""
        yield from map(self.read, rows)
        self._check_labels()
        self._check_patients()
        self._check_hashes()

    def read(self, row: Row) -> Case:
        cells = row.cells
        lesion = cells["lesion_id"]
        label = cells.get("label", "")
        split = cells.get("split", "")
        patient = self._patient(cells.get("patient_id", ""), row.line) or lesion
        self._check_lesion(lesion, row.line)
        self._labels[label] += 1
        self._label_rows.setdefault(label, row.line)
        self._check_split(split, patient, row.line)
        images = {name: self._images(row, name) for name in self._modalities}
        if not any(images.values()) and not self._has_other_image(cells):
            columns = " or ".join(self._modalities)
            self._problems.add(
                f"the case {lesion!r} has no image at all; "
                f"expected a path under {columns}, or delete the row",
                row=row.line,
                finding="no_image",
            )
        masked = [name for name in self._masked if cells.get(mask_column(name))]
        masks = {name: self._paths.read(row, mask_column(name)) for name in masked}
        attributes = {name: cell for name, cell in cells.items() if name not in self._columns}
        return Case(lesion, patient, label, images, masks, split, attributes, row.line)

    def _images(self, row: Row, modality: str) -> tuple[Path, ...]:
        """Return the paths of the images of a modality, with their boxes."""
        paths = self._paths.read(row, modality)
        return add_boxes(paths, row, modality, self._problems, check_files=self._check_boxes)

    def _has_other_image(self, cells: Mapping[str, str]) -> bool:
        """Return whether a column that is not used holds an image of the case."""
        return any(
            names_file(cell, self._paths.folder)
            for name, cell in cells.items()
            if name not in self._columns
        )

    def _patient(self, patient: str, line: int) -> str:
        if not is_placeholder(patient):
            self._with_patient += bool(patient)
            if not patient:
                self._without_patient.append(line)
            return patient
        self._problems.note(
            f"{patient!r} counts as an empty cell, so this lesion is its own patient; empty the "
            "cell, or write the patient's id",
            row=line,
            column="patient_id",
            finding="patient_placeholder",
        )
        return ""

    def _check_lesion(self, lesion: str, line: int) -> None:
        if lesion.startswith("#"):
            self._with_hash.append(line)
        else:
            self._without_hash += 1
        first = self._lesions.setdefault(same_looking(lesion), line) if self._compare else line
        if not lesion:
            finding, message = "lesion_empty", "is empty; expected a name that no other row has"
        elif first != line:
            finding = "lesion_repeated"
            message = (
                f"{lesion!r} is in row {first} too; expected one row per lesion, "
                f"with several images of one modality joined by {JOIN!r}"
            )
        else:
            self._note_similar(lesion, line)
            return
        self._problems.add(message, row=line, column="lesion_id", finding=finding)

    def _note_similar(self, lesion: str, line: int) -> None:
        """Note a lesion whose id is that of another one in another spelling."""
        if not self._compare:
            return
        other, row = self._spellings.setdefault(label_key(lesion), (lesion, line))
        if row != line:
            self._problems.note(
                f"{lesion!r} differs from {other!r} in row {row} by case, spaces, zeros or "
                "quotation marks only; if it is the same lesion, write one row for both",
                row=line,
                column="lesion_id",
                finding="lesion_spelling",
            )

    def _check_labels(self) -> None:
        """Report each rare spelling of a label once, where it is first."""
        for label, usual in usual_spellings(self._labels).items():
            if label != usual:
                counts = [
                    f"{count} row" + "s" * (count != 1)
                    for count in (self._labels[label], self._labels[usual])
                ]
                self._problems.add(
                    f"{label!r} ({counts[0]}) is another spelling of {usual!r} ({counts[1]}, first "
                    f"in row {self._label_rows[usual]}); write it that way, as agfnet check CASES "
                    "--fix FILE does",
                    row=self._label_rows[label],
                    column="label",
                    finding="label_spelling",
                )

    def _check_patients(self) -> None:
        """Note empty cells among patient ids: they may stand for the patient above."""
        if self._with_patient and (without := self._without_patient):
            self._problems.note(
                f"{len(without)} of {len(without) + self._with_patient} cells are empty, so each "
                "of these lesions is its own patient; fill them in if they mean the patient above",
                row=without[0],
                column="patient_id",
                finding="patient_missing",
            )

    def _check_hashes(self) -> None:
        """Note lesions whose ids begin with `#` among others: the rows may be commented out."""
        if len(self._with_hash) < self._without_hash and self._with_hash:
            self._problems.note(
                f"{len(self._with_hash)} of {len(self._with_hash) + self._without_hash} ids begin "
                "with '#', as rows that are commented out do, and are read as lesions; delete "
                "these rows, or the sign",
                row=self._with_hash[0],
                column="lesion_id",
                finding="lesion_hash",
            )

    def _check_split(self, split: str, patient: str, line: int) -> None:
        known, first = split, line
        if split in SPLITS and self._compare:
            known, first = self._patients.setdefault(patient_key(patient), (split, line))
        if split not in ("", *SPLITS):
            finding = "split_unknown"
            message = f"{split!r} is not a split; expected train, val, test or an empty cell"
        elif known != split:
            finding = "patient_splits"
            message = (
                f"patient {patient!r} is in {split} here and in {known} in row {first}; "
                "all lesions of a patient belong in one split"
            )
        else:
            return
        self._problems.add(message, row=line, column="split", finding=finding)
