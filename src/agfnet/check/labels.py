"""What is odd about labels, patients and splits, row by row already in order."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

from agfnet.check.findings import Findings, counted
from agfnet.data.spelling import label_key
from agfnet.data.table import Case

LONG = 7
"""Shortest word in which one letter more, less or other may be a slip: short codes such as NV, BCC,
SCC differ by a letter and mean it."""


def check_labels(cases: Sequence[Case], findings: Findings, *, patients: int) -> None:
    """Report labels that are rare, look alike, or are missing from a split.

    Args:
        cases: of the table.
        findings: where to report.
        patients: fewer patients than this are few.
    """
    by_label: defaultdict[str, list[Case]] = defaultdict(list)
    for case in cases:
        by_label[case.label].append(case)
    unlabelled = by_label.pop("", [])
    if unlabelled and by_label:
        message = f"{counted(len(unlabelled), 'lesion')} without a label, used by nothing"
        findings.add("label_missing", message, column="label")
    for one, other in combinations(sorted(by_label), 2):
        if alike(one, other):
            both = f"{one!r} ({len(by_label[one])}) and {other!r} ({len(by_label[other])})"
            message = f"{both} look like one label; write it one way"
            findings.add("label_similar", message, column="label")
    for label, found in by_label.items():
        people = len({case.patient_id for case in found})
        if people < patients:
            findings.add(
                "label_rare",
                f"{label!r} has {counted(len(found), 'lesion')} of {counted(people, 'patient')}, "
                "too few to train, validate and test; merge it with another label or leave it out "
                "(data.labels)",
                case=found[0],
                column="label",
            )
        _check_splits(label, found, cases, findings)


def _check_splits(
    label: str, found: Sequence[Case], cases: Sequence[Case], findings: Findings
) -> None:
    known = {case.split for case in cases}
    own = {case.split for case in found}
    if "train" in known - own and own & {"val", "test"}:
        message = f"{label!r} is tested or validated but never trained; draw the split again"
        findings.add("label_untrained", message, case=found[0], column="split")
    if "test" in known - own and "train" in own:
        message = f"{label!r} is trained but never tested; draw the split again"
        findings.add("label_untested", message, column="split")


def check_splits(cases: Sequence[Case], findings: Findings) -> None:
    """Report a split that is not filled in for all, and a table that names no patients."""
    without = [case for case in cases if not case.split]
    if without and len(without) < len(cases):
        message = f"{counted(len(without), 'lesion')} without a split, used by nothing; fill it in"
        findings.add("split_empty", message, case=without[0], column="split")
    if all(case.patient_id == case.lesion_id for case in cases):
        message = (
            "every lesion counts as a patient of its own; leaks between lesions of one go unseen"
        )
        findings.add("patient_unknown", message, column="patient_id")


def alike(one: str, other: str) -> bool:
    """Whether two labels look like one in two spellings, beyond what `read_cases` reports.

    They do when they differ by hyphens or underscores, by the spelling of ae and oe, or by one
    letter in a long word.
    """
    words, others = _words(one), _words(other)
    if label_key(one) == label_key(other) or not words:
        return False
    if "".join(words) == "".join(others):
        return True
    differing = [pair for pair in zip(words, others, strict=False) if pair[0] != pair[1]]
    return len(words) == len(others) and len(differing) == 1 and _slip(*differing[0])


def _words(label: str) -> list[str]:
    plain = label.casefold().replace("ae", "e").replace("oe", "e")
    return re.findall(r"[^\W_]+", plain)


def _slip(one: str, other: str) -> bool:
    """Whether two long words differ by one letter, and not by a number."""
    short, long = sorted((one, other), key=len)
    if len(short) < LONG - 1 or len(long) < LONG or not (one + other).isalpha():
        return False
    if one.rstrip("ivx") == other.rstrip("ivx"):  # type II and type III
        return False
    if len(short) == len(long):
        return sum(a != b for a, b in zip(short, long, strict=True)) == 1
    return any(short == long[:i] + long[i + 1 :] for i in range(len(long)))
