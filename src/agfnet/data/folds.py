"""Folds for cross-validation, drawn or one per centre, and the split that tests on one of them.

A table has either a `split` or a `fold` column. Folds are kept as an attribute of the cases, so
that one table serves every run of a study.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from agfnet.config import SplitConfig
from agfnet.data.labels import check_placeholders
from agfnet.data.problems import StrPath, near
from agfnet.data.spelling import changed_ids
from agfnet.data.splits import allocate, check_parts, check_undrawn, patients_by_lot, split_cases
from agfnet.data.table import Case, CasesTable, read_cases
from agfnet.errors import DataError

FOLD = "fold"
VAL = 1 / 8
"""Fraction of the cases outside the tested fold that validates: 5 folds give 70, 10 and 20 %."""


def draw_folds(cases: Iterable[Case], *, folds: int, seed: int = 0) -> tuple[Case, ...]:
    """Draw a fold for every case, 0 to `folds` - 1: whole patients, labels in proportion.

    The draw depends on the patient ids, labels and seed alone, never on the order of the cases.
    Patients are assigned one by one, the largest first, each to the fold where it adds least to
    the sum over folds and labels of (fraction of the label's cases in the fold)². scikit-learn's
    StratifiedGroupKFold is not used, since it depends on its version and the order of the rows,
    takes ten times as long, and balances no better (`tests/data/test_folds.py` compares them).

    Args:
        cases: a table or any cases; none may have a split or a fold already.
        folds: number of folds, 2 or more.
        seed: another seed draws other folds.

    Raises:
        DataError: a case has a split or a fold already, or there are fewer patients than folds.
    """
    cases = tuple(cases)
    check_undrawn(cases)
    patients = patients_by_lot(cases, seed)
    if len(patients) < folds:
        raise DataError(f"there are {len(patients)} patients, too few for {folds} folds")
    totals = Counter(case.label for case in cases)
    assigned: list[Counter[str]] = [Counter() for _ in range(folds)]
    fold_of: dict[str, int] = {}
    for patient in patients:
        added = [_added(fold, patient.labels, totals) for fold in assigned]
        number = added.index(min(added))
        assigned[number].update(patient.labels)
        fold_of[patient.id] = number
    return tuple(_with_fold(case, fold_of[case.patient_id]) for case in cases)


def _added(fold: Counter[str], new: Counter[str], totals: Counter[str]) -> tuple[float, int]:
    """Return what a patient adds to the sum of squares of a fold; then its size, for ties."""
    return (
        sum((2 * fold[name] + n) * n / totals[name] ** 2 for name, n in new.items()),
        fold.total(),
    )


def centre_folds(cases: Iterable[Case], *, column: str) -> tuple[Case, ...]:
    """Make each centre a fold, numbered in alphabetical order of their names.

    Args:
        cases: a table or any cases; none may have a split or a fold already.
        column: the attribute that names the centre.

    Raises:
        DataError: no such column, an empty cell, a patient at two centres, only one centre, or a
            case has a split or a fold already.
    """
    cases = tuple(cases)
    check_undrawn(cases)
    for case in cases:
        if column not in case.attributes:
            raise DataError(f"there is no column {column!r}; {near(column, case.attributes)}")
        if not case.attributes[column]:
            raise DataError(f"the case {case.lesion_id!r} (row {case.row}) names no {column}")
    centres = centre_names(cases, column)
    if len(centres) < 2:
        raise DataError(f"all cases are from one {column}, {centres[0]!r}; expected two or more")
    _check_patients(cases, column)
    return tuple(_with_fold(case, centres.index(case.attributes[column])) for case in cases)


def centre_names(cases: Iterable[Case], column: str) -> list[str]:
    """Return the centres, in the order of their folds."""
    return sorted({case.attributes[column] for case in cases})


def fold_split(cases: Iterable[Case], fold: int) -> tuple[Case, ...]:
    """Return the split that tests on one fold.

    Of the other cases, the fraction `VAL` validates (whole patients, labels in proportion), and the
    rest trains. The draw depends on the folds alone: all methods and seeds of a study use the same
    cases.

    Raises:
        DataError: the cases have a split already or no usable folds, or there is no such fold.
    """
    cases = tuple(cases)
    numbers = sorted({_fold(case) for case in cases})
    if len(numbers) < 2 or fold not in numbers:
        known = ", ".join(map(str, numbers)) or "none"
        raise DataError(f"column {FOLD}: cannot test on fold {fold}; there are {known}")
    _check_patients(cases, FOLD)
    rest = [case for case in cases if _fold(case) != fold]
    split_of = allocate(rest, (1 - VAL, VAL, 0), seed=fold)
    return tuple(replace(case, split=split_of.get(case.patient_id, "test")) for case in cases)


def split_table(table: CasesTable, config: SplitConfig) -> tuple[Case, ...]:
    """Return the cases with the column `split` or `fold` that the settings ask for.

    Raises:
        ConfigError: the fractions do not add up to 1.
        DataError: the table is split already, a split would be empty, a label is a placeholder such
            as `NA`, a patient id was rounded, or the settings do not fit the table.
    """
    cases, fold = table.cases, config.fold
    with _naming(table.path):
        _check_names(cases)
        if config.folds is not None:
            cases = draw_folds(cases, folds=config.folds, seed=config.seed)
        elif config.centre is not None:
            cases = centre_folds(cases, column=config.centre)
            if config.test_centre is not None:
                centres = centre_names(cases, config.centre)
                if config.test_centre not in centres:
                    hint = near(config.test_centre, centres)
                    raise DataError(f"column {config.centre}: no {config.test_centre!r}; {hint}")
                fold = centres.index(config.test_centre)
        elif fold is None:
            return split_cases(cases, fractions=config.fractions, seed=config.seed)
        if fold is None:
            return cases
        cases = fold_split(cases, fold)
        check_parts(cases)
        return cases


def _check_names(cases: Sequence[Case]) -> None:
    """Raise DataError if a label or a patient id would make a split without meaning."""
    fix = "empty these cells if the diagnosis is unknown, or write the diagnosis"
    check_placeholders(cases, sorted({case.label for case in cases}), fix)
    changed = changed_ids(case.patient_id for case in cases)
    for case in cases:
        if problem := changed.get(case.patient_id):
            raise DataError(f"the patient id {case.patient_id!r} (row {case.row}) {problem}")


def read_split(
    path: StrPath, *, modalities: Sequence[str], fold: int | None, check_files: bool = True
) -> CasesTable:
    """Read the table of a run: with its own split, or with the one that tests on a fold.

    Raises:
        ConfigError: the modalities do not fit.
        DataError: problems of the table, or there is no such fold.
    """
    table = read_cases(path, modalities=modalities, check_files=check_files)
    return table if fold is None else _split_by_fold(table, fold)


def split_as_trained(table: CasesTable, fold: int | None) -> CasesTable:
    """Split a further table with folds as a training on a fold; return others unchanged.

    Raises:
        DataError: the table has folds, but not this one.
    """
    folds = {case.attributes.get(FOLD) for case in table}
    return table if fold is None or len(folds) < 2 else _split_by_fold(table, fold)


def _split_by_fold(table: CasesTable, fold: int) -> CasesTable:
    with _naming(table.path):
        return replace(table, cases=fold_split(table, fold))


@contextmanager
def _naming(path: StrPath) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def rare_labels(cases: Iterable[Case]) -> dict[str, int]:
    """Return the labels with fewer patients than folds, and the number of their patients."""
    cases = tuple(cases)
    patients: defaultdict[str, set[str]] = defaultdict(set)
    for case in cases:
        patients[case.label].add(case.patient_id)
    folds = len({_fold(case) for case in cases})
    return {
        label: len(ids) for label, ids in sorted(patients.items()) if label and len(ids) < folds
    }


def _with_fold(case: Case, fold: int) -> Case:
    return replace(case, attributes={**case.attributes, FOLD: str(fold)})


def _fold(case: Case) -> int:
    cell = case.attributes.get(FOLD)
    if cell is None:
        raise DataError(f"there is no column {FOLD!r}; draw one with `agfnet split`, --folds")
    if case.split:
        raise DataError(
            f"the case {case.lesion_id!r} (row {case.row}) is in {case.split} already; a fold goes "
            "with a table without a split"
        )
    if not is_fold(cell):
        raise DataError(
            f"the case {case.lesion_id!r} (row {case.row}) has the fold {cell!r}; "
            "expected a whole number from 0 on"
        )
    return int(cell)


def is_fold(cell: str) -> bool:
    """Return whether a cell is the number of a fold: a whole number from 0 on."""
    return cell.isascii() and cell.isdigit()


def _check_patients(cases: Sequence[Case], column: str) -> None:
    """Raise DataError if the cases of a patient are in several folds or centres."""
    for other, case in apart(cases, column):
        raise DataError(
            f"the patient {case.patient_id!r} has the {column} {other.attributes[column]!r} in "
            f"row {other.row} and {case.attributes[column]!r} in row {case.row}; expected one "
            f"{column} for all lesions of a patient"
        )


def apart(cases: Iterable[Case], column: str) -> Iterator[tuple[Case, Case]]:
    """Yield the first case of a patient and each one in another fold or at another centre."""
    first: dict[str, Case] = {}
    for case in cases:
        other = first.setdefault(case.patient_id, case)
        if other.attributes[column] != case.attributes[column]:
            yield other, case
