"""Files to lesions: because a cell names them, by patterns of the user, or by ids."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from agfnet.data.problems import Problems, near
from agfnet.data.spelling import is_placeholder
from agfnet.errors import ConfigError, DataError
from agfnet.importing.cells import Cells
from agfnet.importing.column_names import FILE, MATCH_ROLES
from agfnet.importing.dates import date_keys
from agfnet.importing.ids import key, words
from agfnet.importing.lesions import Lesion, LesionReader
from agfnet.importing.match import match_files
from agfnet.importing.tree import listed
from agfnet.importing.views import File, Views, pattern, placeholders


class Assignment:
    """Gives lesions their files.

    Args:
        reader: with the lesions.
        files: of the tree.
        views: decides on the modality of a file.
        cells: finds the files that a cell names.
    """

    def __init__(
        self, reader: LesionReader, files: Sequence[File], views: Views, cells: Cells
    ) -> None:
        self.reader = reader
        self.source = reader.source
        self.table = reader.table
        self.roles = reader.roles
        self.lesions = reader.lesions
        self.files = {file.path: file for file in files}
        self.views = views
        self.cells_reader = cells
        self.notes: list[str] = []
        self.rules: list[str] = []
        self.problems = Problems(reader.source)
        self.other_views: defaultdict[str, list[Path]] = defaultdict(list)
        self.taken: set[Path] = set()
        self.targets: dict[Path, tuple[Lesion, Path]] = {}
        """File, without links, to the lesion and path under which it was taken."""
        self.links: list[Path] = []
        self.unnamed: list[Path] = []
        """Files by ids, of lesions whose cells name other images of the modality."""
        self.spread: dict[int, str] = {}
        """Lesions with images of one modality in several folders, by ids, with two of these."""
        self.shared: list[Path] = []
        """Files of several lesions."""
        self.other_patients: list[Path] = []
        """DICOM files whose PatientID is that of another row."""
        self.patients = {key(lesion.ids.get("patient_id", "")) for lesion in self.lesions}

    def take_named_files(self) -> None:
        """Give lesions the files that cells name."""
        for (line, cells), lesion in zip(self.table.rows, self.reader.lesion_of, strict=True):
            for column, modality in self.roles.images.items():
                if lesion is None or not cells[column] or is_placeholder(cells[column]):
                    continue
                by_row = self.views.named(cells.get(self.roles.columns.get("modality", ""), ""))
                hints = [text for text in lesion.ids.values() if text]
                paths, missing = self.cells_reader.find(cells[column], hints)
                for name in missing:
                    self.problems.add(
                        f"{name!r} is not among the files below {self.views.root}"
                        f"{self.cells_reader.hint(name)}{self._hint_of_header(line, name)}",
                        row=line,
                        column=column,
                    )
                for path in paths:
                    self._give(lesion, path, *self._view(path, modality or by_row))
        self.problems.check()
        if self.taken:
            named = ", ".join(map(repr, self.roles.images))
            self.rules.append(f"{len(self.taken)} files by the cells of {named}")

    def _hint_of_header(self, line: int, name: str) -> str:
        """Return the end of a message about a first row that is no path: it may be a header."""
        if line != self.table.header + 1 or FILE.search(name):
            return ""
        return f"; if row {line} belongs to the header, join it with the row above, or delete it"

    def take_patterns(self, patterns: Mapping[str, str]) -> None:
        """Give lesions the files that patterns of the user match."""
        for modality, text in patterns.items():
            if modality not in self.views.modalities:
                raise ConfigError(
                    f"files: {modality!r} is no modality; {near(modality, self.views.modalities)}"
                )
            expression = pattern(text)
            rows, count, unmatched = self._rows_by_placeholder(text), 0, []
            for path in list(self.files):
                match = expression.fullmatch(path.as_posix())
                if match is None or path in self.taken:
                    continue
                keys = placeholders(match)
                fitting = set(range(len(self.lesions)))
                for name, value in keys.items():
                    fitting &= rows[name].get(key(value), set())
                if len(fitting) == 1 and keys:
                    lesion = self.lesions[fitting.pop()]
                    self._give(lesion, path, *self._view(path, modality))
                    count += 1
                else:
                    unmatched.append(path)
            self.rules.append(f"{count} files of {modality} by {text}")
            if unmatched:
                what = f"files match the pattern of {modality}, but no single row"
                self.notes.append(listed(unmatched, what))
            if not count:
                example = next(iter(self.files), "none")
                raise DataError(
                    f"files.{modality}: {text!r} assigns no file below {self.views.root}; "
                    f"a path there is {str(example)!r}"
                )

    def _rows_by_placeholder(self, text: str) -> dict[str, dict[str, set[int]]]:
        """Return placeholder to key to lesions."""
        roles = {role.removesuffix("_id"): role for role in MATCH_ROLES}
        roles["date"] = "visit"
        result: dict[str, dict[str, set[int]]] = {}
        for name in re.findall(r"\{([^{}]+)\}", text):
            role = roles.get(name, name if name in roles.values() else "")
            column = self.roles.columns.get(role, "") or next(
                (c for c in self.table.columns if c.casefold() == name.casefold()), ""
            )
            if not column:
                names = [r for r, each in roles.items() if each in self.roles.columns]
                raise ConfigError(
                    f"files: {{{name}}} in {text!r} is no column of {self.source.name}; "
                    f"{near(name, [*names, *self.table.columns])}"
                )
            texts = [
                lesion.ids.get(role) or lesion.cells.get(column, "") for lesion in self.lesions
            ]
            dates = date_keys([t for t in texts if t])
            keys: defaultdict[str, set[int]] = defaultdict(set)
            for number, value in enumerate(texts):
                if value:
                    keys[key(value)].add(number)
                    if value in dates:
                        year, month, day = map(int, dates[value].split("-"))
                        keys[f"{year:04}{month:02}{day:02}"].add(number)
                        keys[dates[value]].add(number)
                        keys[f"{day}-{month}-{year}"].add(number)
            whole = set(keys)
            for number, value in enumerate(texts):
                digits = [word for word in words(value) if word.isdecimal()]
                if digits and digits[-1] not in whole:
                    keys[digits[-1]].add(number)
            result[name] = keys
        return result

    def take_by_ids(self, levels: Mapping[str, int], *, american: bool | None = None) -> None:
        """Give lesions the files that remain, by ids in paths and DICOM attributes."""
        waiting = [file for path, file in self.files.items() if path not in self.taken]
        if not waiting or not any(any(lesion.ids.values()) for lesion in self.lesions):
            return
        ids = [lesion.ids for lesion in self.lesions]
        matches = match_files(waiting, ids, levels, american=american)
        named = {id(x): {n for n in x.files if not n.endswith("_mask")} for x in self.lesions}
        folders: defaultdict[tuple[int, str], dict[Path, None]] = defaultdict(dict)
        for number, row in sorted(matches.rows.items()):
            lesion, path = self.lesions[row], waiting[number].path
            modality, mask = self._view(path, "")
            if not mask and modality in named[id(lesion)]:
                self.unnamed.append(path)
                self.taken.add(path)
                continue
            self._give(lesion, path, modality, mask)
            if not mask and modality in self.views.modalities:
                folders[row, modality][path.parent] = None
        self.spread = {
            row: " and ".join(map(str, list(x)[:2]))
            for (row, _), x in folders.items()
            if len(x) > 1
        }
        self.problems.check()
        self.rules += [f"{rule.files} files as {rule.example}" for rule in matches.rules]
        self.notes += [
            f"files are assigned as {rule.example}, although {rule.rival} fits as many rows, and "
            "gives most files to other ones; if that is right, name it: --files.clinical"
            for rule in matches.rules
            if rule.rival
        ]

    def no_match(self, notes: Sequence[str]) -> str:
        """Return why no file fits any row, and what to do.

        Args:
            notes: about files that are not read.
        """
        files = [str(path) for path in self.files][:3]
        ids = {
            role: [x.ids[role] for x in self.lesions if x.ids.get(role)][:3]
            for role in MATCH_ROLES
            if role in self.roles.columns
        }
        shown = "; ".join(f"{role} {', '.join(map(repr, texts))}" for role, texts in ids.items())
        return (
            f"{self.source}: no file below {self.views.root} fits a row. Rows have "
            f"{shown or 'no ids'}; files are {', '.join(map(repr, files)) or 'none'}. "
            f"{''.join(f'Note: {note}. ' for note in notes)}Say where "
            "the ids are, for example --files.clinical '{patient}_*/lesion {lesion}/*.jpg', or "
            f"name the columns, for example --columns.patient_id {self.table.columns[0]!r}"
        )

    def _view(self, path: Path, modality: str) -> tuple[str, bool]:
        """Return the modality of a file, its own if empty, and whether it is a mask."""
        file = self.files[path]
        return (modality, self.views.is_mask(file)) if modality else self.views.modality(file)

    def _give(self, lesion: Lesion, path: Path, name: str, mask: bool) -> None:
        self.taken.add(path)
        if not (self.views.root / path).stat().st_size:
            self.problems.add(f"{path} is empty; copy it again", row=lesion.row, column=name)
        if name not in self.views.modalities:
            self.other_views[name].append(path)
            return
        column = f"{name}_mask" if mask else name
        self._check_patient(lesion, path)
        target = (self.views.root / path).resolve()
        other, first = self.targets.setdefault(target, (lesion, path))
        patients = {key(each.ids.get("patient_id", "")) for each in (lesion, other)}
        if other is lesion and first != path:
            self.links.append(path)
            return
        if other is not lesion and len(patients - {""}) > 1:
            self.problems.add(
                f"{path} is also the image of another patient, in row {other.row}; correct one of "
                "them",
                row=lesion.row,
                column=name,
            )
        elif other is not lesion:
            self.shared.append(path)
        if path not in lesion.files.setdefault(column, []):
            lesion.files[column].append(path)

    def _check_patient(self, lesion: Lesion, path: Path) -> None:
        patient = key(self.files[path].tags.get("PatientID", ""))
        if patient and patient in self.patients - {key(lesion.ids.get("patient_id", ""))}:
            self.other_patients.append(path)

    def unclaimed(self) -> list[str]:
        """Return lines about files that went to no column."""
        lines = [
            listed(paths, f"files of another modality ({name or 'not recognised'}), left out; "
                   "to keep them, name it under --modalities")
            for name, paths in self.other_views.items()
        ]  # fmt: skip
        if free := [path for path in self.files if path not in self.taken]:
            lines.append(listed(free, "files that fit no row, or several, left out"))
        if self.unnamed:
            what = (
                "files of lesions whose cells name other images of the modality, left out; name "
                "them in the cells too"
            )
            lines.append(listed(self.unnamed, what))
        if self.spread:
            lines.append(
                f"{len(self.spread)} lesions have images of one modality from several folders "
                f"({next(iter(self.spread.values()))}); if these are lesions or visits, "
                "write a row for each, with a column that names it"
            )
        if self.links:
            lines.append(listed(self.links, "links to a file that the lesion has, left out"))
        if self.shared:
            lines.append(listed(self.shared, "files that are images of several lesions"))
        if self.other_patients:
            what = "files whose PatientID is that of another row, assigned by the cell or the path"
            lines.append(listed(self.other_patients, what))
        if self.views.by_content:
            lines.append(
                f"{len(self.views.by_content)} files are told by their pictures: grey ones are "
                "ultrasound, coloured ones clinical"
            )
        return lines
