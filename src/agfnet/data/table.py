"""The cases table: a CSV file with one row per lesion. Reading and checking it."""

from __future__ import annotations

import gc
import logging
import os
import re
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

from agfnet.config import default_modalities
from agfnet.data.boxes import add_boxes
from agfnet.data.case import (
    COLUMNS,
    JOIN,
    SPLITS,
    Case,
    CasesTable,
    box_column,
    cases_hash,
    mask_column,
)
from agfnet.data.labels import map_labels
from agfnet.data.paths import named_frame
from agfnet.data.problems import Problems, StrPath
from agfnet.data.rows import Row, read_rows
from agfnet.data.spelling import is_placeholder, patient_key, usual_spellings
from agfnet.data.write_table import check_modalities, write_cases
from agfnet.errors import DataError

__all__ = [
    "JOIN",
    "SPLITS",
    "Case",
    "CasesTable",
    "box_column",
    "cases_hash",
    "find_modalities",
    "iterate_cases",
    "map_labels",
    "mask_column",
    "read_cases",
    "write_cases",
]

TRIED = 50
"""Cells of a column that are looked up as files whatever they look like."""
_IMAGE = re.compile(r"\.(jpe?g|png|tiff?|webp|bmp|gif|dcm|dicom|ima)(#\d+)?$", re.IGNORECASE)


def read_cases(
    path: StrPath,
    *,
    modalities: Sequence[str],
    check_files: bool = True,
    check_boxes: bool = True,
    problems: Problems | None = None,
) -> CasesTable:
    """Read a cases table and check it.

    A patient id that is spelled in several ways is read in one of them, and a placeholder such as
    `NA` as an empty cell. Both are noted: in the log, or in `problems`.

    Args:
        path: the CSV file. Image paths in it are relative to its folder, or absolute.
        modalities: names of the image columns, in the order of the configuration. A case that has
            images only in other columns stays, without images.
        check_files: also check that every image and mask file exists and is not empty.
        check_boxes: with `check_files`, compare the boxes with the sizes of their images, which
            opens these images.
        problems: where to add the problems of the rows; they are raised if it is None. Rows with
            too many cells are left out; all others become cases, with or without problems.

    Raises:
        ConfigError: `modalities` is empty, repeats a name, or names another column.
        DataError: up to 20 problems of the table, one line each; with `problems`, only those
            that leave no rows to read.
    """
    collected = Problems(path) if problems is None else problems
    with _without_collector():
        cases = tuple(
            iterate_cases(
                path,
                collected,
                modalities=modalities,
                check_files=check_files,
                check_boxes=check_boxes,
            )
        )
        cases = _unify_patients(cases, collected)
    if problems is None:
        collected.check()
        collected.log_notes()
    return CasesTable(path=Path(path).absolute(), modalities=tuple(modalities), cases=cases)


def _unify_patients(cases: tuple[Case, ...], problems: Problems) -> tuple[Case, ...]:
    """Give all cases of a patient the same spelling of the id, the first in alphabetical order."""
    first: dict[str, Case] = {}
    spellings: dict[str, set[str]] = {}
    for case in cases:
        key = patient_key(case.patient_id)
        other = first.setdefault(key, case)
        if other.patient_id != case.patient_id:
            known = spellings.setdefault(key, {other.patient_id})
            if case.patient_id not in known:
                known.add(case.patient_id)
                problems.note(
                    f"{case.patient_id!r} and {other.patient_id!r} in row {other.row} count as "
                    "one patient; write the id one way",
                    row=case.row,
                    column="patient_id",
                    finding="patient_spelling",
                )
    if not spellings:
        return cases
    spelling = {name: min(names) for names in spellings.values() for name in names}
    return tuple(
        replace(case, patient_id=spelling.get(case.patient_id, case.patient_id)) for case in cases
    )


def iterate_cases(
    path: StrPath,
    problems: Problems,
    *,
    modalities: Sequence[str],
    check_files: bool,
    check_boxes: bool = True,
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
        compare: also find contradictions to earlier rows; the ids of all rows are then held.
        start: number of cases to skip at the beginning.
        stop: the case to end before, counted from 0; None reads to the end.

    Raises:
        ConfigError, DataError: as `read_cases`; while cases are taken, what leaves no rows to read.
    """
    check_modalities(modalities)
    path = Path(path).absolute()
    rows = read_rows(path, problems, required=("lesion_id", *modalities))
    reader = _CaseReader(
        path.parent,
        modalities,
        problems,
        check_files=check_files,
        check_boxes=check_files and check_boxes,
        compare=compare,
    )
    return reader.read_all(islice(rows.rows, start, stop))


def find_modalities(path: StrPath) -> tuple[str, ...]:
    """Return the image columns of a table.

    A column is one if a cell of it names a file. For the usual modalities, and for columns with
    masks, a cell with the suffix of an image is enough, so that wrong paths are reported.

    Raises:
        DataError: the table cannot be read, or it has no such column.
    """
    table = Path(path).absolute()
    rows = read_rows(table, Problems(path), required=("lesion_id",))
    masks = {mask_column(name) for name in rows.columns}
    candidates = [name for name in rows.columns if name not in {*COLUMNS, *masks}]
    known = {*default_modalities(), *(n for n in candidates if mask_column(n) in rows.columns)}
    tried: Counter[str] = Counter()
    like_paths: Counter[str] = Counter()
    images: set[str] = set()
    for row in rows.rows:
        for name in candidates:
            cell = row.cells[name].split(JOIN)[0].strip()
            if not cell or name in images:
                continue
            like_path = _IMAGE.search(cell) is not None
            tried[name] += 1
            like_paths[name] += like_path
            if (like_path and name in known) or (
                (like_path or tried[name] <= TRIED) and _names_file(cell, table.parent)
            ):
                images.add(name)
        if len(images) == len(candidates):
            break
    if not images:
        raise DataError(f"{path}: no column holds the path of a file; name the image columns")
    for name in candidates:
        if name not in images and 2 * like_paths[name] > tried[name]:
            logging.getLogger(__name__).warning(
                "%s column %s: holds paths of images, but none of these files exists; it is kept as"
                " text. To use it, correct the paths, or name it under --modalities",
                *(path, name),
            )
    return tuple(name for name in candidates if name in images)


def _names_file(cell: str, folder: Path) -> bool:
    """Return whether a cell begins with the path of a file."""
    try:
        return bool(cell) and named_frame(folder / cell.split(JOIN)[0].strip())[0].is_file()
    except (OSError, ValueError):  # text that is too long for a name, or no text of a path
        return False


@contextmanager
def _without_collector() -> Iterator[None]:
    """Disable garbage collection: it takes half the time, and cases have no reference cycles."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _CaseReader:
    """Turns rows into cases, and finds contradictions to earlier rows."""

    def __init__(
        self,
        folder: Path,
        modalities: Sequence[str],
        problems: Problems,
        *,
        check_files: bool,
        check_boxes: bool,
        compare: bool,
    ) -> None:
        self._modalities = tuple(modalities)
        further = (*map(mask_column, modalities), *map(box_column, modalities))
        self._columns = {*COLUMNS, *modalities, *further}
        self._check_boxes = check_boxes
        self._problems = problems
        self._paths = _Paths(folder, problems, check_files=check_files)
        self._compare = compare
        self._lesions: dict[str, int] = {}
        self._labels = Counter[str]()
        self._label_rows: dict[str, int] = {}
        self._patients: dict[str, tuple[str, int]] = {}

    def read_all(self, rows: Iterable[Row]) -> Iterator[Case]:
        """Yield the cases of rows, and then add the problems of all labels together."""
        yield from map(self.read, rows)
        self._check_labels()

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
        masked = [name for name in self._modalities if cells.get(mask_column(name))]
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
            _names_file(cell, self._paths.folder)
            for name, cell in cells.items()
            if name not in self._columns
        )

    def _patient(self, patient: str, line: int) -> str:
        if not is_placeholder(patient):
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
        first = self._lesions.setdefault(lesion, line) if self._compare else line
        if not lesion:
            finding, message = "lesion_empty", "is empty; expected a name that no other row has"
        elif first != line:
            finding = "lesion_repeated"
            message = (
                f"{lesion!r} is in row {first} too; expected one row per lesion, "
                f"with several images of one modality joined by {JOIN!r}"
            )
        else:
            return
        self._problems.add(message, row=line, column="lesion_id", finding=finding)

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


class _Paths:
    """Reads cells with paths, relative to the folder of the table."""

    def __init__(self, folder: Path, problems: Problems, *, check_files: bool) -> None:
        self.folder = folder
        self._problems = problems
        self._check_files = check_files
        self._real: dict[Path, str] = {}
        self._listings: dict[Path, dict[str, str]] = {}

    def read(self, row: Row, column: str) -> tuple[Path, ...]:
        """Return the paths of a cell, and add its problems."""
        cell = row.cells[column]
        names = [name.strip() for name in cell.split(JOIN) if name.strip()]
        if any(map(self._is_empty, names)):
            names = [name for name in names if not self._is_empty(name)]
            message = f"{cell!r} counts as an empty cell: no image; empty the cell"
            self._problems.note(message, row=row.line, column=column, finding="image_placeholder")
        paths = tuple(map(self._path, names))
        faults = []
        if len(set(names)) < len(names):
            faults.append(("path_repeated", "lists a path twice; list each image once"))
        if self._check_files:
            faults += filter(None, map(self._file_fault, names, paths))
        for finding, fault in faults:
            self._problems.add(fault, row=row.line, column=column, finding=finding)
        return paths

    def _is_empty(self, name: str) -> bool:
        """Return whether a name is a placeholder such as `nan`, and no file is called that."""
        return len(name) < 20 and is_placeholder(name) and not (self.folder / name).exists()

    def _path(self, name: str) -> Path:
        path = self.folder / name
        if ".." not in name:
            return path
        # by the file system and not as text: above a linked folder is where its target lies
        if path.parent not in self._real:
            self._real[path.parent] = os.path.realpath(path.parent)
        return Path(self._real[path.parent], path.name)

    def _file_fault(self, name: str, path: Path) -> tuple[str, str] | None:
        """Return the finding and the message if a path does not lead to a file with content."""
        try:
            status = named_frame(path)[0].stat()
        except OSError as error:
            reason = f"{name!r} cannot be found at {path} ({error.strerror})"
            return "file_missing", f"{reason}; {self._fix_of_missing(name, path)}"
        if stat.S_ISDIR(status.st_mode):
            return "file_folder", f"{name!r} is a folder; expected an image file"
        if not status.st_size:
            return "file_empty", f"{name!r} is an empty file; copy the image again"
        return None

    def _fix_of_missing(self, name: str, path: Path) -> str:
        if "\\" in name:
            return "write / between folders"
        with suppress(OSError):  # a name that is too long, a folder that may not be read
            if existing := self._in_other_case(named_frame(path)[0]):
                shown = os.path.relpath(existing, self.folder)
                return f"there is {shown!r}, which differs by case or Unicode form: correct it"
        for separator in ";,":
            if separator in name:
                return f"several paths are joined by {JOIN!r}, not by {separator!r}"
        return "correct the path or copy the file there"

    def _in_other_case(self, path: Path) -> Path | None:
        """Return an existing path that differs by upper and lower case or Unicode form alone."""
        if path.exists() or path == path.parent:
            return path
        folder = self._in_other_case(path.parent)
        if folder is None or not folder.is_dir():
            return None
        if folder not in self._listings:
            self._listings[folder] = {_folded(entry.name): entry.name for entry in folder.iterdir()}
        entry = self._listings[folder].get(_folded(path.name))
        return None if entry is None else folder / entry


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
