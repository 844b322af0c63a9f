"""The findings of `agfnet check`: their names, severities and titles, and a list of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from agfnet.data.problems import Problem
from agfnet.data.table import Case

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class FindingType:
    """Severity and title of all findings of one name."""

    severity: Severity
    title: str


FINDINGS: dict[str, FindingType] = {
    # the table
    "cells": FindingType("error", "Rows with a wrong number of cells"),
    "row_extra": FindingType("note", "Rows that are comments or units"),
    "nameless_column": FindingType("error", "Text under a column without a name"),
    "column_spelling": FindingType(
        "warning", "Columns that are not used because of their spelling"
    ),
    "lesion_empty": FindingType("error", "Lesions without an id"),
    "lesion_repeated": FindingType("error", "Lesion ids in several rows"),
    "lesion_spelling": FindingType("warning", "Lesion ids in two spellings"),
    "lesion_hash": FindingType("warning", "Lesions whose ids begin as a comment"),
    "no_image": FindingType("error", "Lesions without any image"),
    "image_placeholder": FindingType("note", "Words for a missing image"),
    "invisible": FindingType("warning", "Invisible characters in ids or labels"),
    "path_repeated": FindingType("error", "Paths twice in one cell"),
    "box": FindingType("error", "Boxes that are not written as a box, or end beyond the image"),
    "split_unknown": FindingType("error", "Values that are not a split"),
    "split_empty": FindingType("warning", "Lesions without a split among others that have one"),
    "patient_splits": FindingType("error", "One patient in several splits"),
    "fold_unknown": FindingType("warning", "Values that are not a fold"),
    "patient_folds": FindingType("error", "One patient in several folds"),
    "patient_unknown": FindingType("note", "No patients"),
    "patient_missing": FindingType("note", "Lesions without a patient among others that have one"),
    "patient_spelling": FindingType("warning", "One patient id in several spellings"),
    "patient_placeholder": FindingType("warning", "Words for a missing patient id"),
    "patient_rounded": FindingType("error", "Patient ids that a spreadsheet has changed"),
    "patient_dominant": FindingType("warning", "One patient with very many lesions"),
    "label_spelling": FindingType("error", "One label in several spellings"),
    "label_similar": FindingType("warning", "Labels that look like two spellings of one"),
    "label_placeholder": FindingType("error", "Words for a missing label"),
    "label_doubtful": FindingType("warning", "Labels that are no single certain diagnosis"),
    "label_missing": FindingType("note", "Lesions without a label among others that have one"),
    "label_rare": FindingType("warning", "Labels of very few patients"),
    "label_untrained": FindingType(
        "error", "Labels that are tested or validated but never trained"
    ),
    "label_untested": FindingType("warning", "Labels that are trained but never tested"),
    # files
    "file_missing": FindingType("error", "Missing files"),
    "file_folder": FindingType("error", "Folders in place of a file"),
    "file_empty": FindingType("error", "Empty files"),
    "not_image": FindingType("error", "Files that are not an image"),
    "image_damaged": FindingType("error", "Damaged or truncated images"),
    # the same image twice
    "file_leak": FindingType("error", "The same file on both sides of a split"),
    "file_lesions": FindingType("error", "The same file under lesions of two patients"),
    "file_modalities": FindingType("error", "The same file under two modalities"),
    "file_frames": FindingType("warning", "The same file twice in one lesion"),
    "image_leak": FindingType("error", "The same image on both sides of a split"),
    "image_lesions": FindingType("warning", "The same image under lesions of two patients"),
    "image_modalities": FindingType("warning", "The same image under two modalities"),
    "one_patient": FindingType("note", "The same image under two lesions of one patient"),
    # content of the images
    "constant": FindingType("error", "Images of one colour"),
    "black": FindingType("warning", "Images that are nearly black"),
    "white": FindingType("warning", "Images that are nearly white"),
    "flat": FindingType("warning", "Images of very low contrast"),
    "blurred": FindingType("warning", "Images without any detail"),
    "size": FindingType("warning", "Images of an odd size"),
    "shape": FindingType("warning", "Images of an odd shape"),
    "frame_sizes": FindingType("note", "Frames of different sizes in one lesion"),
    "grey_photo": FindingType("warning", "Grey images among photographs"),
    "colour_ultrasound": FindingType("warning", "Colour photographs among ultrasound"),
    "column_type": FindingType("warning", "Columns of another modality type than stated"),
    "spacing": FindingType("warning", "Scans without a scale among others that have one"),
    "white_marks": FindingType("warning", "Callipers, text or frames drawn into ultrasound"),
    "coloured_marks": FindingType("warning", "Coloured callipers or text drawn into ultrasound"),
    "burned_in": FindingType("warning", "Files that say they have annotations burnt in"),
    # masks
    "mask_count": FindingType("warning", "Masks that are not as many as the images"),
    "mask_size": FindingType("error", "Masks of another size than their image"),
    "mask_blank": FindingType("warning", "Masks of one value"),
    # identity
    "dicom_identity": FindingType("warning", "Identifying data in DICOM attributes"),
    "dicom_patient": FindingType("warning", "One DICOM patient under two patient ids"),
    "dicom_patient_leak": FindingType("error", "One DICOM patient on both sides of a split"),
    "dicom_patients": FindingType("warning", "Lesions with the DICOM images of several patients"),
    "exif_gps": FindingType(
        "warning", "Photographs with the place they were taken (EXIF, XMP, IPTC)"
    ),
    "exif_identity": FindingType(
        "warning",
        "Photographs with an owner or a serial number (EXIF, XMP, IPTC), comments, or PNG texts",
    ),
    "identity_name": FindingType("warning", "Names, birth dates or addresses in ids or file names"),
    "identity_column": FindingType("warning", "Columns that hold identifying data"),
    # shortcuts
    "shortcut_column": FindingType("warning", "Columns that alone predict the label"),
    "shortcut_image": FindingType(
        "warning", "Properties of the images that alone predict the label"
    ),
    "shortcut_missing": FindingType("warning", "Missing views that predict the label"),
    "shortcut_marks": FindingType("warning", "Drawn marks that predict the label"),
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One fault or suspicion of a fault."""

    severity: Severity
    name: str
    """A key of `FINDINGS`."""
    row: int | None
    """Line of the table; the header is line 1. None where it concerns no single row."""
    lesion: str
    column: str
    message: str
    """The fault, and how to fix it."""


def counted(count: int, name: str) -> str:
    """Return a number of things in words: 1 lesion, 2 lesions."""
    return f"{count} {name}" + "s" * (count != 1)


class Findings:
    """A list of findings."""

    def __init__(self) -> None:
        self._findings: list[Finding] = []

    def add(self, name: str, message: str, *, case: Case | None = None, column: str = "") -> None:
        """Add a finding about a case, a column or the whole table."""
        row, lesion = (None, "") if case is None else (case.row, case.lesion_id)
        self._add(name, message, row, lesion, column)

    def add_problems(self, problems: Iterable[Problem], cases: Iterable[Case]) -> None:
        """Add the problems and notes of reading the table."""
        lesions = {case.row: case.lesion_id for case in cases}
        for each in problems:
            lesion = lesions.get(each.row or 0, "")
            self._add(each.finding, each.message, each.row, lesion, each.column or "")

    def _add(self, name: str, message: str, row: int | None, lesion: str, column: str) -> None:
        self._findings.append(
            Finding(
                severity=FINDINGS[name].severity,
                name=name,
                row=row,
                lesion=lesion,
                column=column,
                message=message,
            )
        )

    def sorted(self) -> list[Finding]:
        """Return the findings by severity, then in the order of `FINDINGS`, then by row."""
        order = {
            name: (SEVERITIES.index(finding.severity), number)
            for number, (name, finding) in enumerate(FINDINGS.items())
        }
        return sorted(self._findings, key=lambda each: (order[each.name], each.row or 0))
