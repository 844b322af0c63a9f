"""Check a cases table and its images in one pass."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agfnet.check.appearance import check_appearance, check_masks
from agfnet.check.duplicates import find_duplicates
from agfnet.check.findings import FINDINGS, SEVERITIES, Finding, Findings, counted
from agfnet.check.identity import check_headers, check_names
from agfnet.check.images import Fault, Role
from agfnet.check.labels import check_folds, check_labels, check_patients, check_splits
from agfnet.check.shortcut import check_shortcuts
from agfnet.check.survey import Survey, Use, survey
from agfnet.config import CheckConfig, ModalityType, default_modalities, names_ultrasound
from agfnet.data.problems import Problems
from agfnet.data.rows import read_rows
from agfnet.data.table import Case, CasesTable, find_modalities, mask_column, read_cases
from agfnet.errors import DataError


@dataclass(frozen=True)
class Checked:
    """The result of `check_cases`."""

    cases: str
    lesions: int
    images: int
    """Files that were read, masks included."""
    findings: list[Finding]
    """Errors first, then warnings, then notes."""
    table: CasesTable
    unread: int
    """Rows that could not be read."""

    def counts(self) -> dict[str, int]:
        """Return the number of findings of each severity."""
        counts = Counter(finding.severity for finding in self.findings)
        return {severity: counts[severity] for severity in SEVERITIES}

    def summary(self) -> str:
        """Return the counts in words."""
        return ", ".join(counted(count, name) for name, count in self.counts().items())

    def as_json(self) -> dict[str, Any]:
        """Return the result for a JSON file."""
        names = Counter(finding.name for finding in self.findings)
        return {
            "cases": self.cases,
            "lesions": self.lesions,
            "images": self.images,
            "counts": self.counts(),
            "names": {name: names[name] for name in FINDINGS if names[name]},
            "findings": [asdict(finding) for finding in self.findings],
        }


def check_cases(
    config: CheckConfig, *, progress: Callable[[int, int], None] | None = None
) -> Checked:
    """Find leaks, duplicates, damage, burnt-in annotations and identities in a cases table.

    With several workers, a script must call this under `if __name__ == "__main__":`, because
    each worker starts by importing it.

    Args:
        config: see `CheckConfig`.
        progress: called with files done and files in all.

    Raises:
        ConfigError: the modalities contradict each other.
        DataError: the table cannot be read at all.
    """
    types = column_types(config)
    problems = Problems(config.cases, maximum=None)
    table = read_cases(config.cases, modalities=tuple(types), problems=problems)
    findings = Findings()
    findings.add_problems([*problems.problems, *problems.notes], table)
    check_labels(table.cases, findings, patients=config.min_patients)
    check_patients(table.cases, findings)
    check_splits(table.cases, findings)
    check_folds(table.cases, findings)
    check_names(table.cases, table.path.parent, findings)
    uses: list[Use] = []
    read = 0
    if config.images:
        files = _roles(table, types)
        seen = survey(files, workers=config.workers, progress=progress)
        uses = _check_images(table, types, seen, findings)
        read = len(seen.facts)
    check_shortcuts(table.cases, uses, findings, strength=config.shortcut_threshold)
    unread = sum(each.finding == "cells" for each in problems.problems)
    return Checked(config.cases, len(table), read, findings.sorted(), table, unread)


def column_types(config: CheckConfig) -> dict[str, ModalityType]:
    """Return the modality type of each image column: from the settings, or from its name."""
    if config.modalities is not None:
        return {name: modality.modality_type for name, modality in config.modalities.items()}
    columns = read_rows(Path(config.cases).absolute(), Problems(config.cases)).columns
    usual = tuple(name for name in default_modalities() if name in columns)
    try:
        names = find_modalities(config.cases)
    except DataError:
        if not usual:
            raise
        names = ()
    either: tuple[ModalityType, ModalityType] = ("photo", "ultrasound")
    return {name: either[names_ultrasound(name)] for name in dict.fromkeys(usual + names)}


def _roles(table: CasesTable, types: Mapping[str, ModalityType]) -> dict[Path, Role]:
    """Return every file, with its role where it is named first."""
    roles: dict[Path, Role] = {}
    for case in table:
        for name, modality_type in types.items():
            for path in case.images[name]:
                roles.setdefault(path, modality_type)
    for case in table:
        for paths in case.masks.values():
            for path in paths:
                roles.setdefault(path, "mask")
    return roles


def _check_images(
    table: CasesTable, types: Mapping[str, ModalityType], seen: Survey, findings: Findings
) -> list[Use]:
    columns: defaultdict[str, list[Use]] = defaultdict(list)
    for case in table:
        for name in types:
            images = _uses(seen, case, name, case.images[name], findings)
            columns[name] += images
            files = case.masks.get(name, ())
            column = mask_column(name)
            masks = _uses(seen, case, column, files, findings)
            if files and len(masks) == len(files) and len(images) == len(case.images[name]):
                check_masks(case, column, images, masks, findings)
    for name, images in columns.items():
        check_appearance(name, types[name], images, findings)
    uses = [use for images in columns.values() for use in images]
    uses.sort(key=lambda use: use.case.row)
    check_headers(uses, findings)
    find_duplicates(uses, seen.thumbs, findings)
    return uses


def _uses(
    seen: Survey, case: Case, column: str, paths: Sequence[Path], findings: Findings
) -> list[Use]:
    """Return the images of one cell that can be read, and report the others."""
    uses = []
    for path in paths:
        facts = seen.facts.get(path)
        if isinstance(facts, Fault):
            findings.add(facts.finding, facts.message, case=case, column=column)
        elif facts is not None:
            uses.append(Use(case, column, path, facts, seen.numbers[path]))
    return uses
