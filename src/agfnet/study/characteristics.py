"""Table 1 of a paper: the patients and lesions of a study, by class."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from agfnet.data.labels import map_labels
from agfnet.data.spelling import is_placeholder
from agfnet.data.table import SPLITS, Case, read_cases
from agfnet.study.plan import Study
from agfnet.study.tables import DASH, Grid

AGE = re.compile(r"age(_.*)?$", re.IGNORECASE)
SEX = re.compile(r"(sex|gender)$", re.IGNORECASE)
SITE = re.compile(r"(.*_)?(site|locali[sz]ation|location)(_.*)?$", re.IGNORECASE)
UNKNOWN = "unknown"
ALL = "All"
MAX_SITES = 12  # rows of sites; rarer ones are summed up


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """The labelled cases of a study."""

    cases: tuple[Case, ...]
    """All cases with a class; ids of patients are unique over separate cohorts."""
    classes: tuple[str, ...]
    modalities: tuple[str, ...]
    excluded: int
    """Number of cases with a label that is no class, or without a label."""
    tables: tuple[str, ...]
    """Paths of the tables."""

    @property
    def patients(self) -> int:
        """Number of patients."""
        return len({case.patient_id for case in self.cases})


def read_cohort(study: Study) -> Cohort:
    """Read the cases on which a study trains and tests, of all its separate cohorts.

    Raises:
        DataError: A table has problems.
    """
    runs = [run for run in study.runs if run.method == study.reference]
    data = {run.config.data.cases: run.config.data for run in runs}
    kept: list[Case] = []
    classes: tuple[str, ...] = ()
    total = 0
    for number, (path, config) in enumerate(data.items()):
        table = read_cases(path, modalities=tuple(config.modalities), check_files=False)
        cases, classes, _ = map_labels(table, config.labels)
        total += len(table)
        prefix = f"{number}/" if len(data) > 1 else ""
        kept += [replace(c, patient_id=prefix + c.patient_id) for c in cases if c.label]
    return Cohort(
        cases=tuple(kept),
        classes=classes,
        modalities=tuple(runs[0].config.data.modalities),
        excluded=total - len(kept),
        tables=tuple(data),
    )


def characteristics(cohort: Cohort) -> Grid:
    """Return Table 1: number, age, sex and site of patients and lesions, by class.

    Age and sex count each patient once, in every class of which the patient has a lesion.
    """
    groups = {ALL: cohort.cases} | {
        name: tuple(case for case in cohort.cases if case.label == name) for name in cohort.classes
    }
    rows = [
        _row("Patients", groups, lambda cases: str(len(_patients(cases)))),
        _row("Lesions", groups, lambda cases: str(len(cases))),
    ]
    rows += _splits(cohort, groups)
    columns = list(dict.fromkeys(name for case in cohort.cases for name in case.attributes))
    used = []
    if age := _column(columns, AGE):
        used.append(age)
        rows.append(_row("Age, median (quartiles)", groups, lambda cases: _ages(cases, age)))
    for title, pattern, unit in (("Sex", SEX, _patients), ("Site", SITE, list)):
        if column := _column(columns, pattern):
            used.append(column)
            rows += _counts(title, column, groups, unit)
    for name in cohort.modalities:
        if any(not case.images[name] for case in cohort.cases):
            rows.append(_row(f"Without {name}", groups, partial(_missing, name)))
    named = ", ".join(used) or "none of age, sex and site"
    return Grid(
        title="Characteristics of patients and lesions",
        head=("", *groups),
        rows=tuple(rows),
        note=f"Numbers with percentages of the column. Columns of the table: {named}. Age and sex "
        "are per patient, site is per lesion; a patient with lesions of several classes counts in "
        f"each. Left out: {cohort.excluded} lesions without a label or of other classes.",
        words=True,
    )


Groups = Mapping[str, Sequence[Case]]


def _row(title: str, groups: Groups, text_of: Callable[[Sequence[Case]], str]) -> tuple[str, ...]:
    return (title, *map(text_of, groups.values()))


def _column(columns: Sequence[str], pattern: re.Pattern[str]) -> str | None:
    return next((name for name in columns if pattern.match(name)), None)


def _cell(case: Case, column: str) -> str:
    text = case.attributes.get(column, "").strip()
    return UNKNOWN if not text or is_placeholder(text) else text


def _patients(cases: Sequence[Case]) -> list[Case]:
    """Return the first case of each patient."""
    return list({case.patient_id: case for case in reversed(cases)}.values())


def _splits(cohort: Cohort, groups: Groups) -> Iterator[tuple[str, ...]]:
    for split in SPLITS:
        if any(case.split == split for case in cohort.cases):
            yield _row(f"Lesions in {split}", groups, partial(_count, split))


def _count(split: str, cases: Sequence[Case]) -> str:
    return str(sum(case.split == split for case in cases))


def _ages(cases: Sequence[Case], column: str) -> str:
    ages = []
    for case in _patients(cases):
        try:
            ages.append(float(_cell(case, column)))
        except ValueError:
            continue
    if not ages:
        return DASH
    low, middle, high = np.percentile(ages, [25, 50, 75])
    missing = len(_patients(cases)) - len(ages)
    return f"{middle:.0f} ({low:.0f} to {high:.0f})" + (f"\n{missing} {UNKNOWN}" if missing else "")


def _counts(
    title: str, column: str, groups: Groups, unit: Callable[[Sequence[Case]], list[Case]]
) -> Iterator[tuple[str, ...]]:
    """Return a row for each value of a column, the most frequent first, and unknown last."""
    frequency = Counter(_cell(case, column) for case in unit(groups[ALL]))
    values = [value for value, _ in frequency.most_common() if value != UNKNOWN]
    shown, rare = values[:MAX_SITES], values[MAX_SITES:]
    rows = {value: {value} for value in shown} | ({"other": set(rare)} if rare else {})
    if UNKNOWN in frequency:
        rows[UNKNOWN] = {UNKNOWN}
    for name, members in rows.items():

        def text_of(cases: Sequence[Case], members: set[str] = members) -> str:
            return _percentage([_cell(case, column) in members for case in unit(cases)])

        yield _row(f"{title}: {name}", groups, text_of)


def _missing(modality: str, cases: Sequence[Case]) -> str:
    return _percentage([not case.images[modality] for case in cases])


def _percentage(flags: Sequence[bool]) -> str:
    if not flags:
        return "0"
    return f"{sum(flags)} ({100 * sum(flags) / len(flags):.0f}\u00a0%)"
