"""What `agfnet check` can find, and a list of what it found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from agfnet.data.problems import Problem
from agfnet.data.table import Case

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Kind:
    """One kind of finding."""

    severity: Severity
    title: str


KINDS: dict[str, Kind] = {
    # the table
    "cells": Kind("error", "Rows with a wrong number of cells"),
    "nameless_column": Kind("error", "Text under a column without a name"),
    "lesion_empty": Kind("error", "Lesions without an id"),
    "lesion_repeated": Kind("error", "A lesion id twice"),
    "no_image": Kind("error", "Lesions without any image"),
    "path_repeated": Kind("error", "A path twice in one cell"),
    "split_unknown": Kind("error", "Words that are not a split"),
    "split_empty": Kind("warning", "Lesions without a split among others that have one"),
    "patient_splits": Kind("error", "One patient in several splits"),
    "patient_unknown": Kind("note", "No patients"),
    "label_spelling": Kind("error", "One label in two spellings"),
    "label_similar": Kind("warning", "Labels that look like two spellings of one"),
    "label_missing": Kind("note", "Lesions without a label among others that have one"),
    "label_rare": Kind("warning", "Labels of very few patients"),
    "label_untrained": Kind("error", "Labels that are tested or validated but never trained"),
    "label_untested": Kind("warning", "Labels that are trained but never tested"),
    # files
    "file_missing": Kind("error", "Missing files"),
    "file_folder": Kind("error", "Folders in place of a file"),
    "file_empty": Kind("error", "Empty files"),
    "not_image": Kind("error", "Files that are not an image"),
    "image_damaged": Kind("error", "Damaged or truncated images"),
    # the same image twice
    "file_leak": Kind("error", "The same file on both sides of a split"),
    "file_lesions": Kind("error", "The same file under lesions of two patients"),
    "file_modalities": Kind("error", "The same file under two modalities"),
    "file_frames": Kind("warning", "The same file twice in one lesion"),
    "image_leak": Kind("error", "The same image on both sides of a split"),
    "image_lesions": Kind("warning", "The same image under lesions of two patients"),
    "image_modalities": Kind("warning", "The same image under two modalities"),
    "one_patient": Kind("note", "The same image under two lesions of one patient"),
    # what images show
    "constant": Kind("error", "Images of one colour"),
    "black": Kind("warning", "Images that are nearly black"),
    "white": Kind("warning", "Images that are nearly white"),
    "flat": Kind("warning", "Images of very low contrast"),
    "blurred": Kind("warning", "Images without any detail"),
    "size": Kind("warning", "Images of an odd size"),
    "shape": Kind("warning", "Images of an odd shape"),
    "frame_sizes": Kind("note", "Frames of different sizes in one lesion"),
    "grey_photo": Kind("warning", "Grey images among photographs"),
    "colour_ultrasound": Kind("warning", "Colour photographs among ultrasound"),
    "column_kind": Kind("warning", "Columns of another kind than stated"),
    "spacing": Kind("warning", "Scans without a scale among others that have one"),
    "white_marks": Kind("warning", "Callipers, text or frames drawn into ultrasound"),
    "coloured_marks": Kind("warning", "Coloured callipers or text drawn into ultrasound"),
    "burned_in": Kind("warning", "Files that say they have annotations burnt in"),
    # masks
    "mask_count": Kind("warning", "Masks that are not as many as the images"),
    "mask_size": Kind("error", "Masks of another size than their image"),
    "mask_blank": Kind("warning", "Masks of one value"),
    # who it is
    "dicom_identity": Kind("warning", "Identifying data in DICOM attributes"),
    "dicom_patient": Kind("warning", "One DICOM patient under two patient ids"),
    "dicom_patient_leak": Kind("error", "One DICOM patient on both sides of a split"),
    "exif_gps": Kind("warning", "Photographs with the place they were taken"),
    "exif_identity": Kind("warning", "Photographs with an owner or a serial number"),
    "identity_name": Kind("warning", "Names, birth dates or addresses in ids or file names"),
    "identity_column": Kind("warning", "Columns that hold identifying data"),
    # what betrays the label
    "shortcut_column": Kind("warning", "Columns that alone predict the label"),
    "shortcut_image": Kind("warning", "Facts of the images that alone predict the label"),
    "shortcut_missing": Kind("warning", "Missing views that predict the label"),
    "shortcut_marks": Kind("warning", "Drawn marks that predict the label"),
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One fault or suspicion."""

    severity: Severity
    kind: str
    """One of `KINDS`."""
    row: int | None
    """Line of the table; the header is line 1. None where it concerns no single row."""
    lesion: str
    column: str
    message: str
    """What was found, and how to mend it."""


def counted(count: int, name: str) -> str:
    """A number of things: 1 lesion, 2 lesions."""
    return f"{count} {name}" + "s" * (count != 1)


class Findings:
    """A list of findings."""

    def __init__(self) -> None:
        self._found: list[Finding] = []

    def add(self, kind: str, message: str, *, case: Case | None = None, column: str = "") -> None:
        """Note one finding about a case, a column or the whole table."""
        row, lesion = (None, "") if case is None else (case.row, case.lesion_id)
        self._add(kind, message, row, lesion, column)

    def add_problems(self, problems: Iterable[Problem], cases: Iterable[Case]) -> None:
        """Take over what reading the table found."""
        lesions = {case.row: case.lesion_id for case in cases}
        for each in problems:
            lesion = lesions.get(each.row or 0, "")
            self._add(each.finding, each.message, each.row, lesion, each.column or "")

    def _add(self, kind: str, message: str, row: int | None, lesion: str, column: str) -> None:
        self._found.append(
            Finding(
                severity=KINDS[kind].severity,
                kind=kind,
                row=row,
                lesion=lesion,
                column=column,
                message=message,
            )
        )

    def sorted(self) -> list[Finding]:
        """The gravest first, by kind in the order of `KINDS`, then by row."""
        kinds = list(KINDS)
        rank = {k: (SEVERITIES.index(KINDS[k].severity), kinds.index(k)) for k in kinds}
        return sorted(self._found, key=lambda each: (rank[each.finding], each.row or 0))
