"""Corrections that are safe: what they change is written in another way, and means the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agfnet.data.spelling import INVISIBLE, is_placeholder, usual_spellings
from agfnet.data.table import Case

FIXED = (
    *("label_spelling", "label_placeholder", "patient_spelling", "patient_placeholder"),
    *("image_placeholder", "path_repeated", "invisible"),
)
"""Findings that `fixed` clears."""
_INVISIBLE = dict.fromkeys(map(ord, INVISIBLE))


def fixed(cases: Sequence[Case]) -> list[Case]:
    """Return cases with one spelling of each label, and without placeholders and repetitions.

    Patient ids and placeholders for images are corrected when a table is read already.
    """
    labels = [case.label.translate(_INVISIBLE) for case in cases]
    labels = ["" if is_placeholder(label) else label for label in labels]
    usual = usual_spellings(filter(None, labels))
    return [
        replace(
            case,
            lesion_id=case.lesion_id.translate(_INVISIBLE),
            patient_id=case.patient_id.translate(_INVISIBLE),
            label=usual.get(label, ""),
            images={name: tuple(dict.fromkeys(paths)) for name, paths in case.images.items()},
        )
        for case, label in zip(cases, labels, strict=True)
    ]
