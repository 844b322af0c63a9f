"""The cases table: one row per lesion, with the paths of its images. Read, check, write."""

from __future__ import annotations

import csv
import gc
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from agfnet.data.problems import Problems, StrPath, near
from agfnet.data.readers import named_frame
from agfnet.data.rows import Row, read_rows
from agfnet.errors import ConfigError, DataError
from agfnet.files import replacing

SPLITS = ("train", "val", "test")
JOIN = "|"
_OWN = ("lesion_id", "patient_id", "label", "split")


@dataclass(frozen=True)
class Case:
    """One lesion."""

    lesion_id: str
    patient_id: str
    """Equal to `lesion_id` when the table has no such column or the cell is empty."""
    label: str
    """Empty when unlabelled."""
    images: dict[str, tuple[Path, ...]]
    """Absolute paths per modality; an empty tuple where the modality is missing."""
    masks: dict[str, tuple[Path, ...]]
    """Absolute paths of lesion masks; only modalities that have some."""
    split: str
    """`train`, `val`, `test`, or empty."""
    attributes: dict[str, str]
    """Every other column."""
    row: int
    """Line of the table that the case begins on; the header is line 1."""


@dataclass(frozen=True)
class CasesTable:
    """A cases table that has been read and checked."""

    path: Path
    modalities: tuple[str, ...]
    cases: tuple[Case, ...]

    def __len__(self) -> int:
        return len(self.cases)

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)


def read_cases(
    path: StrPath,
    *,
    modalities: Sequence[str],
    check_files: bool = True,
    problems: Problems | None = None,
) -> CasesTable:
    """Read a cases table and check it.

    Args:
        path: the CSV file. Image paths in it are relative to its folder, or absolute.
        modalities: names of the image columns, in the order of the configuration. A case that has
            images only in other columns stays, without images.
        check_files: also look that every image and mask file exists and is not empty.
        problems: where to note what is wrong with the rows; raised if unset. Rows with the wrong
            number of cells are left out, all others become cases, whatever is wrong with them.

    Raises:
        ConfigError: `modalities` is empty, repeats a name, or names another column.
        DataError: up to 20 problems of the table, one line each; with `problems`, only what
            leaves no rows to read.
    """
    found = Problems(path) if problems is None else problems
    with _without_collector():
        cases = tuple(iterate_cases(path, found, modalities=modalities, check_files=check_files))
    if problems is None:
        found.check()
    return CasesTable(path=Path(path).absolute(), modalities=tuple(modalities), cases=cases)


def iterate_cases(
    path: StrPath,
    problems: Problems,
    *,
    modalities: Sequence[str],
    check_files: bool,
    compare: bool = True,
    start: int = 0,
    stop: int | None = None,
) -> Iterator[Case]:
    """The cases of a table as `read_cases` reads them, one at a time.

    Args:
        path: the CSV file.
        problems: where to note what is wrong with the rows; the caller raises them.
        modalities: names of the image columns.
        check_files: also look at every image and mask file.
        compare: also note what contradicts an earlier row, for which the ids of all are held.
        start: cases to leave out at the beginning, unseen.
        stop: the case to end before, counted from 0; None reads to the end.

    Raises:
        ConfigError, DataError: as `read_cases`; while cases are taken, what leaves no rows to read.
    """
    _check_modalities(modalities)
    path = Path(path).absolute()
    rows = read_rows(path, problems)
    _check_columns(rows.columns, modalities, Problems(problems.path))
    reader = _CaseReader(
        path.parent, modalities, problems, check_files=check_files, compare=compare
    )
    return map(reader.read, islice(rows.rows, start, stop))


def find_modalities(path: StrPath) -> tuple[str, ...]:
    """The columns of a table whose first path is a file: its image columns, as far as can be told.

    Raises:
        DataError: the table cannot be read, or it has no such column.
    """
    problems = Problems(path)
    folder = Path(path).absolute().parent
    rows = read_rows(Path(path).absolute(), problems)
    masks = {mask_column(name) for name in rows.columns}
    candidates = [name for name in rows.columns if name and name not in {*_OWN, *masks}]
    first = dict.fromkeys(candidates, "")
    for row in rows.rows:
        first.update({name: row.cells.get(name, "") for name in candidates if not first[name]})
        if all(first.values()):
            break
    found = tuple(name for name, cell in first.items() if _names_file(cell, folder))
    if not found:
        raise DataError(f"{path}: no column holds the path of a file; name the image columns")
    return found


def _names_file(cell: str, folder: Path) -> bool:
    """Whether a cell begins with the path of a file: so looks an image column."""
    try:
        return bool(cell) and named_frame(folder / cell.split(JOIN)[0])[0].is_file()
    except OSError:  # text that is too long for a name
        return False


def _check_modalities(modalities: Sequence[str]) -> None:
    columns = [*_OWN, *modalities, *map(mask_column, modalities)]
    for name in modalities:
        if columns.count(name) > 1:
            raise ConfigError(f"modalities: {name!r} is used twice; give each its own column name")
    if not modalities:
        raise ConfigError("modalities: none given; name at least one image column")


def mask_column(modality: str) -> str:
    """The column that holds the masks of a modality."""
    return f"{modality}_mask"


def _check_columns(columns: Sequence[str], modalities: Sequence[str], problems: Problems) -> None:
    for name in ("lesion_id", *modalities):
        if name not in columns:
            hint = near(name, columns)
            problems.add(f"there is no such column; {hint}", row=1, column=name)
    problems.check()


@contextmanager
def _without_collector() -> Iterator[None]:
    """Half the time of reading a large table is spent looking for cycles that cases never have."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def label_key(label: str) -> str:
    """What two spellings have in common that are taken for one label: all but case and spaces."""
    return "".join(label.split()).casefold()


class _CaseReader:
    """Turns rows into cases, and notes what contradicts an earlier row."""

    def __init__(
        self,
        folder: Path,
        modalities: Sequence[str],
        problems: Problems,
        *,
        check_files: bool,
        compare: bool,
    ) -> None:
        self._folder = folder
        self._modalities = tuple(modalities)
        self._own = {*_OWN, *modalities, *map(mask_column, modalities)}
        self._problems = problems
        self._check_files = check_files
        self._compare = compare
        self._lesions: dict[str, int] = {}
        self._labels: dict[str, tuple[str, int]] = {}
        self._patients: dict[str, tuple[str, int]] = {}

    def read(self, row: Row) -> Case:
        cells = row.cells
        lesion = cells["lesion_id"]
        label = cells.get("label", "")
        split = cells.get("split", "")
        patient = cells.get("patient_id", "") or lesion
        self._check_lesion(lesion, row.line)
        self._check_label(label, row.line)
        self._check_split(split, patient, row.line)
        images = {name: self._paths(row, name) for name in self._modalities}
        if not any(images.values()) and not self._has_other_image(cells):
            wanted = " or ".join(self._modalities)
            self._problems.add(
                f"the case {lesion!r} has no image at all; "
                f"expected a path under {wanted}, or delete the row",
                row=row.line,
                kind="no_image",
            )
        masked = [name for name in self._modalities if cells.get(mask_column(name))]
        masks = {name: self._paths(row, mask_column(name)) for name in masked}
        attributes = {name: cell for name, cell in cells.items() if name not in self._own}
        return Case(lesion, patient, label, images, masks, split, attributes, row.line)

    def _has_other_image(self, cells: Mapping[str, str]) -> bool:
        """Whether a column that is not used holds an image: the case only lacks the used views."""
        return any(
            _names_file(cell, Path(self._folder))
            for name, cell in cells.items()
            if name not in self._own
        )

    def _check_lesion(self, lesion: str, line: int) -> None:
        first = self._lesions.setdefault(lesion, line) if self._compare else line
        if not lesion:
            kind, message = "lesion_empty", "is empty; expected a name that no other row has"
        elif first != line:
            kind = "lesion_repeated"
            message = (
                f"{lesion!r} is in row {first} too; expected one row per lesion, "
                f"with several images of one modality joined by {JOIN!r}"
            )
        else:
            return
        self._problems.add(message, row=line, column="lesion_id", kind=kind)

    def _check_label(self, label: str, line: int) -> None:
        known, first = self._labels.setdefault(label_key(label), (label, line))
        if known != label:
            message = (
                f"{label!r} differs only by case or spaces from {known!r} in row {first}; "
                "write the same label the same way"
            )
            self._problems.add(message, row=line, column="label", kind="label_spelling")

    def _check_split(self, split: str, patient: str, line: int) -> None:
        known, first = split, line
        if split in SPLITS and self._compare:
            known, first = self._patients.setdefault(patient, (split, line))
        if split not in ("", *SPLITS):
            kind = "split_unknown"
            message = f"{split!r} is not a split; expected train, val, test or an empty cell"
        elif known != split:
            kind = "patient_splits"
            message = (
                f"patient {patient!r} is in {split} here and in {known} in row {first}; "
                "all lesions of a patient belong in one split"
            )
        else:
            return
        self._problems.add(message, row=line, column="split", kind=kind)

    def _paths(self, row: Row, column: str) -> tuple[Path, ...]:
        names = [name.strip() for name in row.cells[column].split(JOIN) if name.strip()]
        paths = tuple(self._folder / name for name in names)
        if ".." in row.cells[column]:
            paths = tuple(Path(os.path.normpath(path)) for path in paths)
        faults = []
        if len(set(names)) < len(names):
            faults.append(("path_repeated", "lists a path twice; list each image once"))
        if self._check_files:
            faults += filter(None, map(_file_fault, names, paths))
        for kind, fault in faults:
            self._problems.add(fault, row=row.line, column=column, kind=kind)
        return paths


def _file_fault(name: str, path: Path) -> tuple[str, str] | None:
    """The kind of fault and the message, if a path does not lead to a file with content."""
    try:
        status = named_frame(path)[0].stat()
    except OSError as error:
        mend = "write / between folders" if "\\" in name else "mend the path or copy the file there"
        return "file_missing", f"{name!r} cannot be found at {path} ({error.strerror}); {mend}"
    if stat.S_ISDIR(status.st_mode):
        return "file_folder", f"{name!r} is a folder; expected an image file"
    if not status.st_size:
        return "file_empty", f"{name!r} is an empty file; copy the image again"
    return None


def write_cases(
    cases: Iterable[Case], path: StrPath, *, modalities: Sequence[str], overwrite: bool = False
) -> None:
    """Write a cases table, whole or not at all; `read_cases` reads the same cases back.

    Image paths are written relative to the folder of `path`. The `split` column and mask columns
    are written only when a case has one.

    Args:
        cases: a table or any cases.
        path: the CSV file; its folder is made if missing.
        modalities: names of the image columns.
        overwrite: replace a file that is there already.

    Raises:
        ConfigError: `modalities` is empty, repeats a name, or names another column.
        DataError: the file exists and may not be replaced, or cannot be written; there are no
            cases; or a path or an attribute does not fit into this form.
    """
    _check_modalities(modalities)
    path, cases = Path(path), tuple(cases)
    if not cases:
        raise DataError(f"{path}: there are no cases to write")
    masked = [name for name in modalities if any(case.masks.get(name) for case in cases)]
    split = ["split"] if any(case.split for case in cases) else []
    own = ["lesion_id", "patient_id", "label", *split, *modalities, *map(mask_column, masked)]
    attributes = dict.fromkeys(name for case in cases for name in case.attributes)
    if clash := attributes.keys() & {*_OWN, *modalities, *map(mask_column, modalities)}:
        raise DataError(f"{path}: {min(clash)!r} cannot be an attribute too; rename it")

    def cells(case: Case) -> list[str]:
        row = [case.lesion_id, case.patient_id, case.label]
        row += [case.split] if split else []
        row += [_cell(case.images.get(name, ()), path) for name in modalities]
        row += [_cell(case.masks.get(name, ()), path) for name in masked]
        return row + [case.attributes.get(name, "") for name in attributes]

    rows = [[*own, *attributes], *map(cells, cases)]
    try:
        if path.exists() and not overwrite:
            raise DataError(f"{path}: exists already; choose another name or delete it first")
        with (
            replacing(path) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            csv.writer(file).writerows(rows)
    except (OSError, UnicodeEncodeError) as error:
        raise DataError(f"{path}: cannot be written: {error}") from None


def _cell(paths: Sequence[Path], table: Path) -> str:
    folder = table.absolute().parent
    names = [os.path.relpath(path, folder).replace(os.sep, "/") for path in paths]
    for name in names:
        if JOIN in name or name != name.strip():
            raise DataError(
                f"{table}: the path {name!r} contains {JOIN!r} or begins or ends with a space, "
                "which a cases table cannot hold; rename the file"
            )
    return JOIN.join(names)


def map_labels(
    cases: Iterable[Case],
    labels: Sequence[str] | Mapping[str, Sequence[str]] | None,
    *,
    missing_ok: bool = False,
) -> tuple[tuple[Case, ...], tuple[str, ...], int]:
    """Keep or merge labels.

    Args:
        cases: a table or any cases.
        labels: a list keeps these labels, in this order; a mapping from new to old labels merges
            several into one; None keeps all labels of the training split in alphabetical order
            (of all cases, when no case is in the training split).
        missing_ok: accept labels that no case has, as when another cohort is evaluated.

    Returns:
        The cases that remain, unlabelled ones included; the classes in order; and how many cases
        were left out because their label is not among them.

    Raises:
        DataError: a label that no case has, a label given twice, or no label at all.
    """
    cases = tuple(cases)
    known = {case.label for case in cases} - {""}
    if labels is None:
        labels = sorted({case.label for case in cases if case.split == "train"} - {""} or known)
    pairs = (
        [(new, old) for new, olds in labels.items() for old in olds]
        if isinstance(labels, Mapping)
        else [(name, name) for name in labels]
    )
    to_new = {"": ""}
    for new, old in pairs:
        if old not in known and not missing_ok:
            raise DataError(f"labels: no case has the label {old!r}; {near(old, known)}")
        if old in to_new:
            raise DataError(f"labels: {old!r} is given twice; each label belongs to one class")
        to_new[old] = new
    classes = tuple(dict.fromkeys(new for new, _ in pairs))
    if not classes:
        raise DataError("there are no labels; fill in the column 'label'")
    kept = tuple(replace(case, label=to_new[case.label]) for case in cases if case.label in to_new)
    return kept, classes, len(cases) - len(kept)


def cases_hash(table: CasesTable) -> str:
    """SHA-256 over the ids, labels, splits, image paths and file sizes of a table, in its order.

    Paths count as they are relative to the table, so that a moved folder keeps its hash.
    """
    digest = hashlib.sha256("\0".join(table.modalities).encode())
    for case in table:
        fields = [case.lesion_id, case.patient_id, case.label, case.split]
        for name in table.modalities:
            for path in case.images[name]:
                file, _ = named_frame(path)
                size = file.stat().st_size if file.exists() else -1
                fields += [name, os.path.relpath(path, table.path.parent), str(size)]
        digest.update("\0".join(fields).encode() + b"\n")
    return digest.hexdigest()
