"""Lesions of an evaluation that the network has already seen in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agfnet.bundle import BundleConfig
from agfnet.data.paths import named_frame
from agfnet.data.same_files import first_of_same
from agfnet.data.spelling import patient_key
from agfnet.data.table import Case, CasesTable, cases_hash
from agfnet.errors import AgfnetError
from agfnet.evaluation.inputs import EvaluationInputs
from agfnet.evaluation.members import cases_of, member_tables
from agfnet.translation import t

SEEN = ("train", "val")  # the validation split chose the epoch and the calibration
CHANGED = (
    "The table of the training has changed since then (lesions, labels, splits or image files). If"
    " lesions were moved between its splits, some of those used here have trained the network."
)


def training_overlap(inputs: EvaluationInputs) -> dict[str, int] | None:
    """Compare the cases with those that the network was trained, validated or calibrated on.

    The test split of the training's table is not examined: its patients are checked on reading,
    for an ensemble those of all members.

    Returns:
        `lesions`: number of cases that overlap; of these `images`: cases with an identical image
        file, `lesion_ids` and `patient_ids`: cases with the same id in any spelling. None if the
        table of the training cannot be read.
    """
    if inputs.config.cases is None and inputs.split == "test":
        return dict.fromkeys(("lesions", "images", "lesion_ids", "patient_ids"), 0)
    seen = seen_cases(inputs.members, inputs.predictor.bundle.config)
    if seen is None:
        return None
    lesion_ids = {patient_key(case.lesion_id) for case in seen}
    patient_ids = {patient_key(case.patient_id) for case in seen}
    identical = identical_images(inputs.cases, seen)
    reasons = [
        (
            same,
            patient_key(case.lesion_id) in lesion_ids,
            patient_key(case.patient_id) in patient_ids,
        )
        for same, case in zip(identical, inputs.cases, strict=True)
    ]
    images, lesions, patients = (sum(column) for column in zip(*reasons, strict=True))
    return {
        "lesions": sum(map(any, reasons)),
        "images": images,
        "lesion_ids": lesions,
        "patient_ids": patients,
    }


def differs(table: CasesTable, config: BundleConfig) -> bool:
    """Return whether a table has other content than that of the training."""
    return cases_hash(table) != config.data_hash


def has_changed(inputs: EvaluationInputs) -> bool:
    """Return whether the table of the training has other content than then, if it can be read.

    A table that is split once more has lesions in its test split that have trained the network. The
    members of an ensemble may have separate tables, and are not examined.
    """
    config = inputs.predictor.bundle.config
    if len(inputs.members) > 1:
        return False
    try:
        (table,) = (
            [inputs.table]
            if inputs.config.cases is None
            else member_tables(inputs.members, config, check_files=False)
        )
        return differs(table, config)
    except (AgfnetError, OSError):
        return False


def seen_cases(
    members: Sequence[Mapping[str, Any]], config: BundleConfig
) -> tuple[Case, ...] | None:
    """Training and validation cases of runs by their settings; None if a table is unreadable."""
    try:
        return cases_of(member_tables(members, config, check_files=False), *SEEN)
    except (AgfnetError, OSError):
        return None


def identical_images(cases: Sequence[Case], others: Sequence[Case]) -> list[bool]:
    """Say for each case if one of its image files has the same content as one of the others.

    A file is identical to itself.
    """
    known = [path for case in others for path in paths(case)]
    first = first_of_same([*known, *(path for case in cases for path in paths(case))])
    seen = {first[path] for path in known if path.is_file()}
    return [any(first[path] in seen for path in paths(case)) for case in cases]


def paths(case: Case) -> list[Path]:
    """All image files of a case, without the numbers of named frames."""
    return [named_frame(path)[0] for files in case.images.values() for path in files]


def overlap_sentence(overlap: Mapping[str, int]) -> str:
    """A warning for a table that overlaps with the training."""
    images, lesions, patients = (
        f"{overlap[key]:,}" if overlap[key] else ""
        for key in ("images", "lesion_ids", "patient_ids")
    )
    counts = [
        t("{count} by identical images", count=images) if images else "",
        t("{count} by lesion id", count=lesions) if lesions else "",
        t("{count} by patient id", count=patients) if patients else "",
    ]
    text = (
        "{lesions} of these lesions were used to train or validate this network ({counts}). The "
        "results are not those to expect for new patients."
        if images
        else "{lesions} of these lesions were used to train or validate this network ({counts}), "
        "unless the ids name other patients. The results are not those to expect for new patients."
    )
    return t(text, lesions=f"{overlap['lesions']:,}", counts=t(", ").join(filter(None, counts)))
