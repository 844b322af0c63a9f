"""The same image under two lesions, two modalities or on both sides of a split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from agfnet.check.findings import Findings
from agfnet.check.pairs import same_images
from agfnet.check.survey import Use

DUPLICATES = (
    *("file_leak", "image_leak", "file_lesions", "file_modalities"),
    *("image_lesions", "image_modalities", "file_frames", "one_patient"),
)
"""Findings in the order of their severity: an image is reported once, with the first of these."""
_FIX = {
    "leak": "keep it where it belongs; if it shows both lesions, put both in one split",
    "lesions": "keep it where it belongs; if it shows both lesions, give them one patient_id",
    "modalities": "keep it where it belongs",
    "frames": "list each image once",
    "patient": "correct one of them, unless it shows both",
}
COMPARED = 50
"""An image that many lesions share is compared with this many of its first occurrences."""


def find_duplicates(uses: Sequence[Use], thumbs: NDArray[np.uint8], findings: Findings) -> None:
    """Report images that occur twice, except similar frames of one lesion.

    Args:
        uses: all images of all cells, in the order of the table.
        thumbs: (n, T, T), of the images that `Use.number` counts.
        findings: where to report.
    """
    for group in _groups(uses, thumbs):
        seen: dict[tuple[bytes, str, str], Use] = {}
        previous: Use | None = None  # often of the same lesion, which `seen` may have dropped
        for use in group:
            others = [*seen.values(), *([previous] if previous else [])]
            relations = [(name, other) for other in others if (name := _relation(use, other))]
            if relations:
                name, other = min(relations, key=lambda each: DUPLICATES.index(each[0]))
                _report(name, use, other, findings)
            if len(seen) < COMPARED:
                seen.setdefault((use.facts.digest, use.case.split, use.column), use)
            previous = use


def _groups(uses: Sequence[Use], thumbs: NDArray[np.uint8]) -> Iterator[list[Use]]:
    """Yield the uses of each image that has several, whatever their files."""
    first: dict[bytes, int] = {}  # one image of each content
    for use in uses:
        first.setdefault(use.facts.digest, use.number)
    numbers = np.array(list(first.values()), dtype=np.int64)
    pairs = same_images(thumbs, numbers)
    graph = coo_array(
        (np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(numbers), len(numbers))
    )
    _, groups = connected_components(graph, directed=False)
    group_of = dict(zip(first, groups.tolist(), strict=True))
    members: defaultdict[int, list[Use]] = defaultdict(list)
    for use in uses:
        members[group_of[use.facts.digest]].append(use)
    return (group for group in members.values() if len(group) > 1)


def _relation(use: Use, other: Use) -> str:
    what = "file" if use.facts.digest == other.facts.digest else "image"
    if use.case is other.case:
        if use.column != other.column:
            return f"{what}_modalities"
        return "file_frames" if what == "file" and use.path != other.path else ""
    if use.across(other):
        return f"{what}_leak"
    return "one_patient" if use.case.patient_id == other.case.patient_id else f"{what}_lesions"


def _report(name: str, use: Use, other: Use, findings: Findings) -> None:
    what = "file" if use.facts.digest == other.facts.digest else "image"
    relation = name.rpartition("_")[2]
    split = f", in {use.across(other)}" if relation == "leak" else ""
    findings.add(
        name,
        f"{use.path.name!r} is the same {what} as {other.path.name!r} under {other.column} of the "
        f"lesion {other.case.lesion_id!r} (row {other.case.row}{split}); {_FIX[relation]}",
        case=use.case,
        column=use.column,
    )
