"""Lesions with their files to cases: ids, labels and attributes."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from agfnet.data.problems import listed_words
from agfnet.data.spelling import is_error, is_placeholder, patient_key, usual_spellings
from agfnet.data.table import JOIN, Case
from agfnet.errors import DataError
from agfnet.importing.columns import Roles
from agfnet.importing.header import Table
from agfnet.importing.labels import is_yes_or_no, label_notes, looks_like_ids
from agfnet.importing.lesions import Lesion
from agfnet.importing.tree import natural


class CaseMaker:
    """Makes cases of lesions.

    Args:
        source: the spreadsheet, for messages.
        table: its rows.
        roles: what its columns hold.
        root: folder of the files.
        modalities: names of the image columns.
    """

    def __init__(
        self, source: Path, table: Table, roles: Roles, root: Path, modalities: Sequence[str]
    ) -> None:
        self.source = source
        self.table = table
        self.roles = roles
        self.root = root
        self.modalities = modalities
        self.notes: list[str] = []
        self.patient_of: dict[int, str] = {}
        """Patient by the identity of the lesion; joined sheets have rows of the same number."""

    def make(self, lesions: Sequence[Lesion], key_names: Mapping[str, str]) -> list[Case]:
        """Return the cases of the lesions that have an image.

        Args:
            lesions: with their files.
            key_names: code to name of a label, where another sheet lists them.

        Raises:
            DataError: labels look like ids.
        """
        kept = [each for each in lesions if any(n in each.files for n in self.modalities)]
        without = [each for each in lesions if not any(n in each.files for n in self.modalities)]
        if without:
            shown = listed_words([f"{each.row} ({_shown(each)})" for each in without])
            self.notes.append(
                f"lesions without an image, left out: {len(without)}, in rows {shown}"
            )
        column = self.roles.columns.get("label", "")
        labels = [lesion.cells[column] for lesion in kept if column and lesion.cells[column]]
        spelling = self._spellings(labels)
        if "patient_id" not in self.roles.columns:
            self.notes.append(
                "no column is understood as the patient: every lesion counts as its own patient; "
                "if patients have several, name the column (--columns.patient_id)"
            )
        self._check_labels([key_names.get(text, text) for text in labels], column)
        if column:
            self._note_labels(kept, column, key_names)
        self._name_patients(kept)
        self._note_patients(kept)
        return [
            self._case(lesion, name, column, spelling, key_names)
            for lesion, name in zip(kept, self._unique_names(kept), strict=True)
        ]

    def _check_labels(self, labels: Sequence[str], column: str) -> None:
        if reason := looks_like_ids(labels):
            raise DataError(
                f"{self.source}: the labels in the column {column!r} {reason} "
                f"({', '.join(sorted(set(labels))[:3])}, …); name the column of the diagnosis: "
                f"--columns.label, one of {', '.join(map(repr, self.table.columns))}"
            )
        if not column:
            self.notes.append(
                "no column is understood as the label: cases are unlabelled; if one holds the "
                "diagnoses, name it (--columns.label)"
            )
        elif labels and all(text.isdigit() for text in labels):
            self.notes.append(
                f"the labels are numbers ({', '.join(sorted(set(labels))[:5])}); to name them, add "
                "a sheet with number and name to the workbook"
            )
        elif labels and all(map(is_yes_or_no, labels)):
            self.notes.append(
                f"the labels only say {' and '.join(sorted(set(labels))[:3])} to {column!r}; "
                "write names of diagnoses for networks that others shall understand"
            )

    def _note_labels(
        self, lesions: Sequence[Lesion], column: str, key_names: Mapping[str, str]
    ) -> None:
        """Note lesions without a label, and labels that may need another class."""
        cells = [(str(x.row), x.cells[column]) for x in lesions]
        without = [row for row, text in cells if not text or is_placeholder(text)]
        if 0 < len(without) < len(lesions):
            rows = listed_words(without)
            self.notes.append(f"lesions without a label: {len(without)}, in rows {rows}")
        texts = [text for _, text in cells if text and not is_placeholder(text)]
        labels = Counter(key_names.get(text, text) for text in texts)
        self.notes += label_notes(labels)

    def _case(
        self,
        lesion: Lesion,
        name: str,
        label_column: str,
        spelling: Mapping[str, str],
        key_names: Mapping[str, str],
    ) -> Case:
        label = lesion.cells[label_column] if label_column else ""
        label = "" if is_placeholder(label) else spelling.get(label, label)
        roles = self.roles.columns
        used = {c for role, c in roles.items() if role not in ("centre", "fold")}
        used |= {*self.roles.images, *self.roles.identity}
        attributes = {
            _safe(column, self.modalities): _value(lesion.cells[column])
            for column in self.table.columns
            if column not in used
        }
        if "fold" in roles:
            attributes["fold"] = attributes.pop(roles["fold"])
        files = {
            column: tuple(self.root / path for path in sorted(paths, key=natural))
            for column, paths in lesion.files.items()
        }
        images = {view: files.get(view, ()) for view in self.modalities}
        masks = {v: files[f"{v}_mask"] for v in self.modalities if f"{v}_mask" in files}
        patient = self.patient_of[id(lesion)] or name
        split = lesion.cells.get(self.roles.columns.get("split", ""), "")
        return Case(
            name, patient, key_names.get(label, label), images, masks, split, attributes, lesion.row
        )

    def _name_patients(self, lesions: Sequence[Lesion]) -> None:
        """Name patients; with the centre where centres number their patients alike."""
        centres: defaultdict[str, set[str]] = defaultdict(set)
        for lesion in lesions:
            centres[patient_key(lesion.ids.get("patient_id", ""))].add(lesion.ids.get("centre", ""))
        shared = any(name and len(each) > 1 for name, each in centres.items())
        if shared:
            self.notes.append("centres use the same patient ids, so ids begin with the centre")
        for lesion in lesions:
            patient = lesion.ids.get("patient_id", "")
            joined = f"{lesion.ids.get('centre', '')}-{patient}".strip("-")
            self.patient_of[id(lesion)] = joined if patient and shared else patient

    def _note_patients(self, lesions: Sequence[Lesion]) -> None:
        """Note lesions without a patient among others that have one."""
        without = [str(each.row) for each in lesions if not self.patient_of[id(each)]]
        if 0 < len(without) < len(lesions):
            self.notes.append(
                f"lesions without a patient: {len(without)}, in rows {listed_words(without)}; each "
                "counts as its own patient: if an empty cell means the patient above, fill it in"
            )

    def _unique_names(self, lesions: Sequence[Lesion]) -> list[str]:
        """Return an id for each lesion: its own where it is unique, else joined with others."""
        ids = [{**each.ids, "patient_id": self.patient_of[id(each)]} for each in lesions]
        for roles in (
            ("lesion_id",),
            ("patient_id", "lesion_id"),
            ("patient_id", "lesion_id", "visit"),
            ("patient_id", "lesion_id", "visit", "accession"),
        ):
            names = ["-".join(filter(None, map(each.get, roles))) for each in ids]
            if all(names) and len(set(map(patient_key, names))) == len(names):
                return names
        if "patient_id" not in self.roles.columns and "lesion_id" not in self.roles.columns:
            stems = [next(iter(x.files.values()))[0].stem for x in lesions]
            if len(set(stems)) == len(stems):
                self.notes.append(
                    "lesions are named by their first file; there is no column of ids"
                )
                return stems
        return [f"{'-'.join(filter(None, x.ids.values())) or 'row'}-{x.row}" for x in lesions]

    def _spellings(self, labels: Sequence[str]) -> dict[str, str]:
        """Return spelling to the most frequent spelling of each label."""
        counts, result = Counter(labels), usual_spellings(labels)
        self.notes += [
            f"the label {label!r} ({counts[label]}) is written {name!r}, as in {counts[name]} rows"
            for label, name in result.items()
            if label != name
        ]
        return result


def _shown(lesion: Lesion) -> str:
    return " ".join(filter(None, lesion.ids.values())) or "no id"


def _safe(column: str, modalities: Collection[str]) -> str:
    """Return the name of an attribute that is no column of a cases table."""
    reserved = {"lesion_id", "patient_id", "label", "split", *modalities}
    return f"{column}_" if column in reserved or column.endswith("_mask") else column


def _value(text: str) -> str:
    """Return a number with a decimal comma with a point; errors of a spreadsheet as empty."""
    if is_error(text):
        return ""
    return text.replace(",", ".") if re.fullmatch(r"-?\d+,\d+", text) else text.replace(JOIN, "/")
