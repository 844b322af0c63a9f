"""Labels, patients and splits that are odd, though each row is in order."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

from agfnet.check.findings import Findings, counted
from agfnet.data.folds import FOLD, apart, is_fold
from agfnet.data.spelling import (
    INVISIBLE,
    changed_ids,
    is_damaged,
    is_placeholder,
    label_key,
    usual_spellings,
)
from agfnet.data.table import Case
from agfnet.diagnoses import doubtful_labels, one_diagnosis

MIN_WORD = 7
"""Shortest word in which one letter more, less or other may be a slip: short codes such as NV, BCC,
SCC differ by a letter on purpose."""
_ANSWERS = (
    {"true", "yes", "y", "1", "ja", "j", "oui", "si", "sí", "sim", "是"},
    {"false", "no", "n", "0", "nein", "non", "não", "否"},
)
MANY_LESIONS, MANY_FRACTION = 10, 0.2
"""Lesions of one patient, and their fraction of all, from which the id may be a placeholder."""


def check_labels(cases: Sequence[Case], findings: Findings, *, patients: int) -> None:
    """Report labels that are rare, alike, doubtful, placeholders, or missing from a split.

    Args:
        cases: of the table.
        findings: where to report.
        patients: a label of fewer patients than this is rare.
    """
    by_label: defaultdict[str, list[Case]] = defaultdict(list)
    for case in cases:
        by_label[case.label].append(case)
    unlabelled = by_label.pop("", [])
    if unlabelled and by_label:
        message = f"{counted(len(unlabelled), 'lesion')} without a label, used by nothing"
        findings.add("label_missing", message, column="label")
    doubtful = [
        label
        for label in (*doubtful_labels(by_label), *filter(is_damaged, by_label))
        if not is_placeholder(label)
    ]
    for first, second in combinations(sorted(by_label.keys() - set(doubtful)), 2):
        if alike(first, second):
            both = f"{first!r} ({len(by_label[first])}) and {second!r} ({len(by_label[second])})"
            message = f"{both} look like one label; write it one way"
            findings.add("label_similar", message, column="label")
    # one cause, one finding: the table's reader reports spellings, here they are taken together
    usual = usual_spellings(case.label for case in cases if case.label)
    together: defaultdict[str, list[Case]] = defaultdict(list)
    for label, members in by_label.items():
        together[usual[label]] += members
    for label in sorted(together.keys() & set(doubtful)):
        findings.add(
            "label_doubtful",
            f"{counted(len(together[label]), 'lesion')} with the label {label!r}, which is no "
            "single certain diagnosis and would become a class; write the diagnosis or empty these "
            "cells, or merge or leave out the label (data.labels)",
            case=together[label][0],
            column="label",
        )
    for label, members in together.items():
        _check_label(label, members, findings, patients=patients)
        _check_splits(label, members, cases, findings)
    for case in cases:
        for column, text in (("lesion_id", case.lesion_id), ("label", case.label)):
            if not set(INVISIBLE).isdisjoint(text):
                message = f"{text!a} holds an invisible character; delete it"
                findings.add("invisible", message, case=case, column=column)


def _check_label(label: str, cases: Sequence[Case], findings: Findings, *, patients: int) -> None:
    if is_placeholder(label):
        findings.add(
            "label_placeholder",
            f"{counted(len(cases), 'lesion')} with the label {label!r}, which would become a class;"
            " empty these cells if the diagnosis is unknown, or name the classes with data.labels",
            case=cases[0],
            column="label",
        )
        return
    people = len({case.patient_id for case in cases})
    if people < patients:
        findings.add(
            "label_rare",
            f"{label!r} has {counted(len(cases), 'lesion')} of {counted(people, 'patient')}, "
            "too few to train, validate and test; merge it with another label or leave it out "
            "(data.labels)",
            case=cases[0],
            column="label",
        )


def _check_splits(
    label: str, members: Sequence[Case], cases: Sequence[Case], findings: Findings
) -> None:
    splits = {case.split for case in members}
    without = {case.split for case in cases} - splits
    if "train" in without and splits & {"val", "test"}:
        message = f"{label!r} is tested or validated but never trained; draw the split again"
        findings.add("label_untrained", message, case=members[0], column="split")
    if "test" in without and "train" in splits:
        message = f"{label!r} is trained but never tested; draw the split again"
        findings.add("label_untested", message, column="split")


def check_patients(cases: Sequence[Case], findings: Findings) -> None:
    """Report a table that names no patients, and patient ids that cannot be right."""
    lesions: defaultdict[str, list[Case]] = defaultdict(list)
    for case in cases:
        lesions[case.patient_id].append(case)
    if all(case.patient_id == case.lesion_id for case in cases):
        message = "every lesion counts as its own patient; leaks between lesions of one go unseen"
        findings.add("patient_unknown", message, column="patient_id")
    changed = changed_ids(lesions)
    for patient, members in lesions.items():
        if problem := changed.get(patient):
            findings.add(
                "patient_rounded",
                f"{patient!r} ({counted(len(members), 'lesion')}) {problem}",
                case=members[0],
                column="patient_id",
            )
        elif len(members) >= max(MANY_LESIONS, MANY_FRACTION * len(cases)):
            findings.add(
                "patient_dominant",
                f"the patient {patient!r} has {len(members)} of {counted(len(cases), 'lesion')}; "
                "if the id means unknown patients, empty these cells",
                case=members[0],
                column="patient_id",
            )


def check_splits(cases: Sequence[Case], findings: Findings) -> None:
    """Report a split that is not filled in for all lesions."""
    without = [case for case in cases if not case.split]
    if without and len(without) < len(cases):
        message = f"{counted(len(without), 'lesion')} without a split, used by nothing; fill it in"
        findings.add("split_empty", message, case=without[0], column="split")


def check_folds(cases: Sequence[Case], findings: Findings) -> None:
    """Report folds that cross-validation refuses; of a table without splits."""
    if any(case.split or FOLD not in case.attributes for case in cases):
        return
    for case in cases:
        fold = case.attributes[FOLD]
        if not is_fold(fold):
            message = f"expected a whole number from 0 on, not {fold!r}; cross-validation needs one"
            findings.add("fold_unknown", message, case=case, column=FOLD)
    for other, case in apart(cases, FOLD):
        fold = case.attributes[FOLD]
        if is_fold(fold):
            message = (
                f"the patient {case.patient_id!r} is in fold {other.attributes[FOLD]!r} in row "
                f"{other.row} and in fold {fold!r} here; give all lesions of a patient one fold"
            )
            findings.add("patient_folds", message, case=case, column=FOLD)


def alike(first: str, second: str) -> bool:
    """Return whether two labels may be one in two spellings that `read_cases` does not report.

    They may if both say yes or both no (`TRUE` and `1`), if they differ by hyphens or underscores,
    by the spelling of ae and oe, by the order of words (`carcinoma, basal cell`), or by one letter
    in a long word, or if the dictionary has both as names of one diagnosis.
    """
    if any({label_key(first), label_key(second)} <= answers for answers in _ANSWERS):
        return label_key(first) != label_key(second)
    words, others = _words(first), _words(second)
    if label_key(first) == label_key(second) or not words:
        return False
    if "".join(words) == "".join(others) or one_diagnosis([first, second]):
        return True
    if sorted(words) == sorted(others) and "".join(words).isalpha():
        return True
    differing = [pair for pair in zip(words, others, strict=False) if pair[0] != pair[1]]
    return len(words) == len(others) and len(differing) == 1 and _slip(*differing[0])


def _words(label: str) -> list[str]:
    plain = label.casefold().replace("ae", "e").replace("oe", "e")
    return re.findall(r"[^\W_]+", plain)


def _slip(first: str, second: str) -> bool:
    """Return whether two long words differ by one letter, and not by a number."""
    short, long = sorted((first, second), key=len)
    if len(short) < MIN_WORD - 1 or len(long) < MIN_WORD or not (first + second).isalpha():
        return False
    if first.rstrip("ivx") == second.rstrip("ivx"):  # type II and type III
        return False
    if len(short) == len(long):
        return sum(a != b for a, b in zip(short, long, strict=True)) == 1
    return any(short == long[:i] + long[i + 1 :] for i in range(len(long)))
