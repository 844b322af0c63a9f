"""Rows of a spreadsheet to lesions: several rows with the same ids are one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agfnet.data.problems import Problems, listed_words, near
from agfnet.data.spelling import days_among, is_placeholder, is_rounded, label_key, patient_key
from agfnet.errors import DataError
from agfnet.importing.column_names import MATCH_ROLES
from agfnet.importing.columns import Roles
from agfnet.importing.header import SHEET, Table


@dataclass
class Lesion:
    """One or more rows of the spreadsheet that are one lesion."""

    row: int
    cells: dict[str, str]
    ids: dict[str, str]
    files: dict[str, list[Path]] = field(default_factory=dict)
    """Files by modality or mask column, relative to the root."""


class LesionReader:
    """Collects the lesions of a table.

    Args:
        source: the spreadsheet, for messages.
        table: its rows.
        roles: what its columns hold.
        dates: text of a visit to its date.
    """

    def __init__(
        self, source: Path, table: Table, roles: Roles, dates: Mapping[str, str] | None = None
    ) -> None:
        self.source = source
        self.table = table
        self.roles = roles
        self.dates = dates or {}
        self.lesions: list[Lesion] = []
        self.lesion_of: list[Lesion | None] = []
        """The lesion of each row of the table; None for a row that is left out."""
        self.notes: list[str] = []
        self.problems = Problems(source)

    def read_rows(self) -> None:
        """Turn rows into lesions; several rows with the same ids are one."""
        columns = self.roles.columns
        if not ({"patient_id", "lesion_id", "accession"} & columns.keys() or self.roles.images):
            raise DataError(
                f"{self.source}:{self.table.header}: no column is understood as the patient, the "
                "lesion or an image; name them, for example "
                f"--columns.patient_id {self.table.columns[0]!r}; "
                f"{near('patient', self.table.columns)}"
            )
        groups: dict[tuple[str, ...], Lesion] = {}
        previous: dict[str, str] = {}
        ids = [role for role in MATCH_ROLES if role in columns]
        merged, without = 0, list[int]()
        days: dict[str, set[str]] = {
            role: days_among(self.table.values(columns[role]))
            for role in ("patient_id", "lesion_id")
            if role in columns
        }
        for line, cells in self.table.rows:
            values = {role: cells[columns[role]] for role in ids}
            values = {
                role: "" if is_placeholder(text) and not text.startswith("=") else text
                for role, text in values.items()
            }
            if "visit" in values:
                values["visit"] = self.dates.get(values["visit"], values["visit"])
            self._fill_down(values, previous)
            previous = dict(values)
            if not any(values.values()) and not any(cells[c] for c in self.roles.images):
                without.append(line)
                self.lesion_of.append(None)
                continue
            self._check_cells(line, values, cells.get(columns.get("label", ""), ""), days)
            identity = tuple(patient_key(values.get(role, "")) for role in ids)
            if not any(identity):
                identity = (str(line),)
            lesion = groups.get(identity)
            if lesion is None:
                lesion = groups[identity] = Lesion(line, cells, values)
                self.lesions.append(lesion)
            else:
                self._merge(lesion, line, cells)
                merged += 1
            self.lesion_of.append(lesion)
        self.problems.check()
        self._add_notes(without, merged)

    def _check_cells(
        self, line: int, values: Mapping[str, str], label: str, days: Mapping[str, Collection[str]]
    ) -> None:
        """Add the problems of ids, by role, and of a label that a spreadsheet has changed."""
        for role, text in {**values, "label": label}.items():
            problem = ""
            if text.startswith("="):
                problem = "is a formula; export the table again with its values"
            elif role in values and is_rounded(text):
                problem = "is a number that a spreadsheet has rounded; export it as text"
            elif text in days.get(role, ()):
                problem = (
                    "is a day, into which a spreadsheet turns ids such as 1-2; format the column "
                    "as text and enter the id again"
                )
            if problem:
                column = self.roles.columns[role]
                self.problems.add(f"{text!r} {problem}", row=line, column=column)

    def _add_notes(self, without: Sequence[int], merged: int) -> None:
        """Add notes about rows that were left out or merged.

        Args:
            without: numbers of the rows with neither an id nor an image.
            merged: number of rows that were added to the lesion of another row.
        """
        if without:
            shown = listed_words([str(line) for line in without])
            self.notes.append(f"rows with neither an id nor an image, left out: {shown}")
        if merged:
            self.notes.append(
                f"{merged + len(self.lesions)} rows are {len(self.lesions)} lesions: rows "
                "with the same ids are one"
            )
            if self.roles.images and "lesion_id" not in self.roles.columns:
                self.notes.append(
                    "no column is understood as the lesion: all images of a patient count as one "
                    "lesion; if that is wrong, name the column (--columns.lesion_id)"
                )

    def _fill_down(self, values: dict[str, str], previous: Mapping[str, str]) -> None:
        """Take the patient of the row above where a merged cell left it out."""
        lesion, before = values.get("lesion_id", ""), previous.get("lesion_id", "")
        if (
            "patient_id" in values
            and not values["patient_id"]
            and lesion.isdecimal()
            and before.isdecimal()
            and int(lesion) == int(before) + 1
        ):
            values["patient_id"] = previous["patient_id"]

    def _merge(self, lesion: Lesion, line: int, cells: Mapping[str, str]) -> None:
        column = self.roles.columns.get("label", "")
        if cells.get(SHEET) != lesion.cells.get(SHEET) and not self.roles.images:
            self._add_conflict(lesion, line, cells, column)
            return
        if column and cells[column]:
            known = lesion.cells[column]
            if known and label_key(known) != label_key(cells[column]):
                self._add_conflict(lesion, line, cells, column)
                return
            lesion.cells = {**lesion.cells, column: known or cells[column]}
        if self.roles.images or "modality" in self.roles.columns:
            return  # one row for each image
        differing = [name for name in self.table.columns if lesion.cells[name] != cells[name]]
        if differing:
            self._add_conflict(lesion, line, cells, differing[0])

    def _add_conflict(
        self, lesion: Lesion, line: int, cells: Mapping[str, str], column: str
    ) -> None:
        """Add the problem of a row with the ids of another one, but other values."""
        if cells.get(SHEET) != lesion.cells.get(SHEET):
            self.problems.add(
                f"the same ids as in row {lesion.row} of the sheet {lesion.cells[SHEET]!r}; if one "
                "of the sheets is a copy, read the other one: --sheet; else write ids that differ",
                row=line,
                column=f"of the sheet {cells[SHEET]!r}",
            )
            return
        known = self.roles.columns.values()
        differing = [c for c in self.table.columns if lesion.cells[c] != cells[c]]
        other = next((name for name in differing if name not in known), "")
        example = f", as --columns.lesion_id {other!r}" if other else ""
        self.problems.add(
            f"the same ids as in row {lesion.row}, but {cells[column]!r} instead of "
            f"{lesion.cells[column]!r}; correct or delete one of them, or name the column that "
            f"distinguishes the lesions{example}",
            row=line,
            column=column,
        )
