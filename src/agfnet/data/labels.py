"""Labels of cases as the classes of a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from agfnet.data.case import Case
from agfnet.data.problems import near
from agfnet.data.spelling import is_placeholder
from agfnet.errors import DataError


def check_placeholders(cases: Iterable[Case], labels: Iterable[str], fix: str) -> None:
    """Raise DataError if one of the labels is a word such as `NA`, and not a diagnosis.

    Args:
        cases: the cases with these labels.
        labels: the classes.
        fix: end of the message.
    """
    for label in labels:
        if is_placeholder(label):
            rows = [case.row for case in cases if case.label == label]
            raise DataError(
                f"the label {label!r} ({len(rows)} lesions, the first in row {rows[0]}) looks like "
                f"a word for an unknown diagnosis, and would become a class; {fix}"
            )


def map_labels(
    cases: Iterable[Case],
    labels: Sequence[str] | Mapping[str, Sequence[str]] | None,
    *,
    missing_ok: bool = False,
) -> tuple[tuple[Case, ...], tuple[str, ...], int]:
    """Select or merge labels.

    Args:
        cases: a table or any cases.
        labels: a list keeps these labels, in this order; a mapping from new to old labels merges
            several into one; None keeps all labels of the training split in alphabetical order
            (of all cases, when no case is in the training split).
        missing_ok: accept labels that no case has, as when another cohort is evaluated.

    Returns:
        The cases that remain, unlabelled ones included; the classes in order; and the number of
        cases that were left out because their label is not among them.

    Raises:
        DataError: a label that no case has, a label in two classes, no label at all, or, without
            `labels`, a label such as `NA`.
    """
    cases = tuple(cases)
    known = {case.label for case in cases} - {""}
    if labels is None:
        labels = sorted({case.label for case in cases if case.split == "train"} - {""} or known)
        fix = "empty these cells, or name the classes with data.labels"
        check_placeholders(cases, labels, fix)
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
            raise DataError(f"labels: {old!r} is named twice; each label belongs to one class")
        to_new[old] = new
    classes = tuple(dict.fromkeys(new for new, _ in pairs))
    if not classes:
        raise DataError("there are no labels; fill in the column 'label'")
    kept = tuple(replace(case, label=to_new[case.label]) for case in cases if case.label in to_new)
    return kept, classes, len(cases) - len(kept)
