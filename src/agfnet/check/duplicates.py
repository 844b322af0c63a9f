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

KINDS = (
    *("file_leak", "image_leak", "file_lesions", "file_modalities"),
    *("image_lesions", "image_modalities", "file_frames", "one_patient"),
)
"""The gravest first: one image is reported once."""
_MEND = {
    "leak": "keep it where it belongs; if it shows both lesions, put both in one split",
    "lesions": "keep it where it belongs; if it shows both lesions, give them one patient_id",
    "modalities": "keep it where it belongs",
    "frames": "list each image once",
    "patient": "mend one of them, unless it shows both",
}
COMPARED = 50
"""Of an image that many lesions share, each is compared with the first so many."""


def find_duplicates(uses: Sequence[Use], thumbs: NDArray[np.uint8], findings: Findings) -> None:
    """Report images that occur twice, but not alike frames of one lesion.

    Args:
        uses: every cell's every image, in the order of the table.
        thumbs: (n, T, T), of the images that `Use.number` counts.
        findings: where to report.
    """
    for group in _groups(uses, thumbs):
        seen: dict[tuple[bytes, str, str], Use] = {}
        previous: Use | None = None  # often of the same lesion, which `seen` may have dropped
        for use in group:
            others = [*seen.values(), *([previous] if previous else [])]
            relations = [(kind, other) for other in others if (kind := _relation(use, other))]
            if relations:
                kind, other = min(relations, key=lambda each: KINDS.index(each[0]))
                _report(kind, use, other, findings)
            if len(seen) < COMPARED:
                seen.setdefault((use.facts.digest, use.case.split, use.column), use)
            previous = use


def _groups(uses: Sequence[Use], thumbs: NDArray[np.uint8]) -> Iterator[list[Use]]:
    """Uses of one image, whatever its file, where there are several."""
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


def _report(kind: str, use: Use, other: Use, findings: Findings) -> None:
    what = "file" if use.facts.digest == other.facts.digest else "image"
    relation = kind.rpartition("_")[2]
    split = f", in {use.across(other)}" if relation == "leak" else ""
    findings.add(
        kind,
        f"{use.path.name!r} is the same {what} as {other.path.name!r} under {other.column} of the "
        f"lesion {other.case.lesion_id!r} (row {other.case.row}{split}); {_MEND[relation]}",
        case=use.case,
        column=use.column,
    )
