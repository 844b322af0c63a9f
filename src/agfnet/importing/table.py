"""A spreadsheet and a tree of images to a cases table.

The columns are understood by their names and cells (or as the user says), and each file goes to a
row: because a cell names it, by a pattern of the user, or by ids in its path or DICOM attributes.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agfnet.data.problems import Problems, StrPath, near
from agfnet.data.spelling import is_placeholder, is_rounded, label_key, patient_key
from agfnet.data.table import JOIN, Case
from agfnet.errors import ConfigError, DataError
from agfnet.importing.cells import Cells
from agfnet.importing.columns import (
    MATCH_ROLES,
    Roles,
    Table,
    find_table,
    guess_roles,
    key_of_labels,
    looks_like_ids,
)
from agfnet.importing.match import date_keys, key, match_files, words
from agfnet.importing.sheets import read_sheets
from agfnet.importing.tree import SUFFIXES, listed, natural, notes, walk
from agfnet.importing.views import File, Views, pattern, placeholders, read_tags


@dataclass(frozen=True)
class Plan:
    """A spreadsheet and its files as they were understood."""

    cases: tuple[Case, ...]
    modalities: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    """Content and column."""
    rules: tuple[str, ...]
    """Rules by which files were assigned."""
    notes: tuple[str, ...]


@dataclass
class _Lesion:
    """One or more rows of the spreadsheet that are one lesion."""

    row: int
    cells: dict[str, str]
    ids: dict[str, str]
    files: dict[str, list[Path]]


def plan_table(
    source: StrPath,
    *,
    root: StrPath | None = None,
    sheet: str | None = None,
    columns: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
    modalities: Sequence[str] = ("clinical", "ultrasound"),
    levels: Mapping[str, int] | None = None,
) -> Plan:
    """Understand a spreadsheet and the files that belong to it; nothing is written.

    Args:
        source: CSV in any usual encoding and with any usual separator, XLSX, XLS or ODS.
        root: folder of the images; the folder of the spreadsheet if None.
        sheet: sheet of a workbook; that with the most known columns if None.
        columns: what (`patient_id`, `lesion_id`, `label`, `visit`, `accession`, `modality`, `file`
            or a modality) to the name of the column; the others are guessed.
        files: modality to a pattern of its files below the root, such as
            `{patient}_*/lesion {lesion}/*.JPG`.
        modalities: names of the image columns to write.
        levels: id (`patient_id`, `lesion_id`, `visit`) to the level of its folder below the root,
            from 0; guessed if None.

    Raises:
        ConfigError: an option names something that does not exist.
        DataError: the columns or the files cannot be understood; with the reason and what to do.
    """
    source = Path(source).absolute()
    root = Path(root).absolute() if root is not None else source.parent
    if not root.is_dir():
        raise ConfigError(f"root: {root}: no such folder")
    columns = {role.replace("-", "_"): name for role, name in (columns or {}).items()}
    sheets = read_sheets(source)
    table = find_table(source, sheets, sheet, list(columns.values()))
    tree = walk(root)
    stray = [path for path in tree.files if path.suffix.lower() not in SUFFIXES]
    found_files = [
        File(path) for path in tree.files if path not in set(stray) and root / path != source
    ]
    for file in found_files:
        read_tags(root, file)
    views = Views(root, modalities)
    cells = Cells(root, [file.path for file in found_files])
    roles = guess_roles(
        table, columns, modalities, lambda text, _: cells.names_file(text), views.named
    )
    importer = _Importer(source, table, roles, found_files, views, cells)
    importer.read_rows()
    importer.take_named_files()
    importer.take_patterns(files or {})
    importer.take_by_ids(levels or {})
    key_names = (
        key_of_labels(sheets, table, roles.columns["label"]) if "label" in roles.columns else {}
    )
    cases = importer.cases(key_names)
    lines = [*table.notes, *importer.notes, *importer.unclaimed(), *notes(tree)]
    if stray:
        lines.append(listed(stray, "files that are no images by their names, left out"))
    used = [name for name in modalities if any(case.images.get(name) for case in cases)]
    lines += [f"there is no image of {name}" for name in modalities if name not in used]
    return Plan(
        tuple(cases), tuple(modalities), importer.described(key_names), tuple(importer.rules),
        tuple(lines),
    )  # fmt: skip


class _Importer:
    """Collects the lesions of a table and their files."""

    def __init__(
        self,
        source: Path,
        table: Table,
        roles: Roles,
        files: Sequence[File],
        views: Views,
        cells: Cells,
    ) -> None:
        self.source = source
        self.table = table
        self.roles = roles
        self.files = {file.path: file for file in files}
        self.views = views
        self.cells_reader = cells
        self.lesions: list[_Lesion] = []
        self.row_of: dict[int, _Lesion] = {}
        self.notes: list[str] = []
        self.rules: list[str] = []
        self.problems = Problems(source)
        self.other_views: defaultdict[str, list[Path]] = defaultdict(list)
        self.taken: set[Path] = set()
        self.patient_of: dict[int, str] = {}
        self.shared = False

    # rows

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
        groups: dict[tuple[str, ...], _Lesion] = {}
        previous: dict[str, str] = {}
        ids = [role for role in MATCH_ROLES if role in columns]
        merged = Counter[str]()
        for line, cells in self.table.rows:
            values = {role: cells[columns[role]] for role in ids}
            values = {r: "" if is_placeholder(text) else text for r, text in values.items()}
            self._fill_down(values, previous)
            previous = dict(values)
            if not any(values.values()) and not any(cells[c] for c in self.roles.images):
                self.notes.append(f"row {line} has neither an id nor an image, left out")
                continue
            for role, text in values.items():
                if is_rounded(text):
                    self.problems.add(
                        f"{text!r} is a number that a spreadsheet has rounded; export it as text",
                        row=line,
                        column=columns[role],
                    )
            identity = tuple(patient_key(values.get(role, "")) for role in ids)
            if not any(identity):
                identity = (str(line),)
            lesion = groups.get(identity)
            if lesion is None:
                lesion = groups[identity] = _Lesion(line, cells, values, {})
                self.lesions.append(lesion)
            else:
                self._merge(lesion, line, cells)
                merged["rows"] += 1
            self.row_of[line] = lesion
        self.problems.check()
        if merged:
            self.notes.append(
                f"{merged['rows'] + len(self.lesions)} rows are {len(self.lesions)} lesions: rows "
                "with the same ids are one"
            )
            if self.roles.images and "lesion_id" not in columns:
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

    def _merge(self, lesion: _Lesion, line: int, cells: Mapping[str, str]) -> None:
        column = self.roles.columns.get("label", "")
        if column and cells[column]:
            known = lesion.cells[column]
            if known and label_key(known) != label_key(cells[column]):
                self.problems.add(
                    f"the same ids as in row {lesion.row}, but {cells[column]!r} instead of "
                    f"{known!r}; correct one of them, or name the column that distinguishes the "
                    "lesions (--columns.lesion_id)",
                    row=line,
                    column=column,
                )
            lesion.cells = {**lesion.cells, column: known or cells[column]}
        if self.roles.images or "modality" in self.roles.columns:
            return  # one row for each image
        differing = [name for name in self.table.columns if lesion.cells[name] != cells[name]]
        if differing:
            self.problems.add(
                f"the same ids as in row {lesion.row}, but other values of "
                f"{', '.join(map(repr, differing[:3]))}; name the column that distinguishes the "
                f"two: --columns.lesion_id or --columns.centre {differing[0]!r}, or delete one row",
                row=line,
            )

    # files

    def take_named_files(self) -> None:
        """Give lesions the files that cells name."""
        for line, cells in self.table.rows:
            lesion = self.row_of.get(line)
            for column, modality in self.roles.images.items():
                if lesion is None or not cells[column] or is_placeholder(cells[column]):
                    continue
                by_row = self.views.named(cells.get(self.roles.columns.get("modality", ""), ""))
                hints = [text for text in lesion.ids.values() if text]
                paths, missing = self.cells_reader.find(cells[column], hints)
                for name in missing:
                    self.problems.add(
                        f"{name!r} is not among the files below {self.views.root}"
                        f"{self.cells_reader.hint(name)}",
                        row=line,
                        column=column,
                    )
                for path in paths:
                    self._give(lesion, path, modality or by_row)
        self.problems.check()
        if self.taken:
            named = ", ".join(map(repr, self.roles.images))
            self.rules.append(f"{len(self.taken)} files by the cells of {named}")

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
                    self._give(self.lesions[fitting.pop()], path, modality)
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

    def take_by_ids(self, levels: Mapping[str, int]) -> None:
        """Give lesions the files that remain, by ids in paths and DICOM attributes."""
        waiting = [file for path, file in self.files.items() if path not in self.taken]
        if not waiting or not any(any(lesion.ids.values()) for lesion in self.lesions):
            return
        matches = match_files(waiting, [lesion.ids for lesion in self.lesions], levels)
        for number, row in sorted(matches.rows.items()):
            self._give(self.lesions[row], waiting[number].path, "")
        self.rules += [f"{rule.files} files as {rule.example}" for rule in matches.rules]

    def _give(self, lesion: _Lesion, path: Path, modality: str) -> None:
        if modality:
            name, mask = modality, self.views.is_mask(self.files[path])
        else:
            name, mask = self.views.modality(self.files[path])
        self.taken.add(path)
        if name not in self.views.modalities:
            self.other_views[name].append(path)
            return
        column = f"{name}_mask" if mask else name
        if path not in lesion.files.setdefault(column, []):
            lesion.files[column].append(path)

    # result

    def cases(self, key_names: Mapping[str, str]) -> list[Case]:
        """Return the cases.

        Raises:
            DataError: no lesion has an image, labels look like ids, or ids are not definite.
        """
        self.problems.check()
        kept = [
            lesion
            for lesion in self.lesions
            if any(n in lesion.files for n in self.views.modalities)
        ]
        if not kept:
            raise DataError(self._nothing())
        if without := [lesion for lesion in self.lesions if lesion not in kept]:
            shown = ", ".join(
                f"{lesion.row} ({self._name(lesion)})" for lesion in without[:20]
            ) + ", …" * (len(without) > 20)
            self.notes.append(f"{len(without)} lesions without an image, left out: rows {shown}")
        label_column = self.roles.columns.get("label", "")
        labels = [lesion.cells[label_column] for lesion in kept if label_column]
        spelling = self._spellings([text for text in labels if text])
        names = [key_names.get(text, text) for text in labels if text]
        if reason := looks_like_ids(names):
            raise DataError(
                f"{self.source}: the labels in the column {label_column!r} {reason} "
                f"({', '.join(sorted(set(names))[:3])}, …); name the column of the diagnosis: "
                f"--columns.label, one of {', '.join(map(repr, self.table.columns))}"
            )
        if not label_column:
            self.notes.append("no column is understood as the label: cases are unlabelled")
        self._name_patients(kept)
        unique = self._unique_names(kept)
        return [
            self._case(lesion, name, label_column, spelling, key_names)
            for lesion, name in zip(kept, unique, strict=True)
        ]

    def _case(
        self,
        lesion: _Lesion,
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
            _safe(column, self.views.modalities): _decimal(lesion.cells[column])
            for column in self.table.columns
            if column not in used
        }
        if "fold" in roles:
            attributes["fold"] = attributes.pop(roles["fold"])
        files = {
            column: tuple(self.views.root / path for path in sorted(paths, key=natural))
            for column, paths in lesion.files.items()
        }
        images = {view: files.get(view, ()) for view in self.views.modalities}
        masks = {v: files[f"{v}_mask"] for v in self.views.modalities if f"{v}_mask" in files}
        patient = self.patient_of[lesion.row] or name
        split = lesion.cells.get(self.roles.columns.get("split", ""), "")
        return Case(
            name, patient, key_names.get(label, label), images, masks, split, attributes, lesion.row
        )

    def _name_patients(self, lesions: Sequence[_Lesion]) -> None:
        """Name patients; with the centre where centres number their patients alike."""
        centres: defaultdict[str, set[str]] = defaultdict(set)
        for lesion in lesions:
            centres[patient_key(lesion.ids.get("patient_id", ""))].add(lesion.ids.get("centre", ""))
        self.shared = any(name and len(each) > 1 for name, each in centres.items())
        if self.shared:
            self.notes.append("centres use the same patient ids, so ids begin with the centre")
        for lesion in lesions:
            patient = lesion.ids.get("patient_id", "")
            joined = f"{lesion.ids.get('centre', '')}-{patient}".strip("-")
            self.patient_of[lesion.row] = joined if patient and self.shared else patient

    def _unique_names(self, lesions: Sequence[_Lesion]) -> list[str]:
        """Return an id for each lesion: its own where it is unique, else joined with others."""
        dates = date_keys([x.ids["visit"] for x in lesions if x.ids.get("visit")])
        ids = [
            {
                **lesion.ids,
                "patient_id": self.patient_of[lesion.row],
                "visit": _iso(dates.get(lesion.ids.get("visit", ""), lesion.ids.get("visit", ""))),
            }
            for lesion in lesions
        ]
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
        counts = Counter(labels)
        best: dict[str, str] = {}
        for label, _ in counts.most_common():
            best.setdefault(label_key(label), label)
        result = {label: best[label_key(label)] for label in counts}
        self.notes += [
            f"the label {label!r} ({counts[label]}) is written {name!r}, as in {counts[name]} rows"
            for label, name in result.items()
            if label != name
        ]
        return result

    def _name(self, lesion: _Lesion) -> str:
        return " ".join(filter(None, lesion.ids.values())) or "no id"

    def _nothing(self) -> str:
        """Return why no file fits any row, and what to do."""
        files = [str(path) for path in self.files][:3]
        ids = {
            role: [x.ids[role] for x in self.lesions if x.ids.get(role)][:3]
            for role in MATCH_ROLES
            if role in self.roles.columns
        }
        shown = "; ".join(f"{role} {', '.join(map(repr, texts))}" for role, texts in ids.items())
        return (
            f"{self.source}: no file below {self.views.root} fits a row. Rows have "
            f"{shown or 'no ids'}; files are {', '.join(map(repr, files)) or 'none'}. Say where "
            "the ids are, for example --files.clinical '{patient}_*/lesion {lesion}/*.jpg', or "
            f"name the columns, for example --columns.patient_id {self.table.columns[0]!r}"
        )

    def described(self, key_names: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """Return what each column was taken for."""
        lines = [(role, column) for role, column in self.roles.columns.items()]
        lines += [(f"images of {n or 'any modality'}", c) for c, n in self.roles.images.items()]
        if key_names:
            pairs = ", ".join(f"{code} = {name}" for code, name in sorted(key_names.items()))
            lines.append(("names of the labels", pairs))
        if self.roles.identity:
            lines.append(("left out, identifies people", ", ".join(self.roles.identity)))
        used = {*self.roles.columns.values(), *self.roles.images, *self.roles.identity}
        others = [column for column in self.table.columns if column not in used]
        if others:
            lines.append(("attributes", ", ".join(others)))
        return tuple(lines)

    def unclaimed(self) -> list[str]:
        """Return lines about files that went to no column."""
        lines = [
            listed(paths, f"files of another modality ({name or 'not recognised'}), left out; "
                   "to keep them, name it under --modalities")
            for name, paths in self.other_views.items()
        ]  # fmt: skip
        if free := [path for path in self.files if path not in self.taken]:
            lines.append(listed(free, "files that fit no row, or several, left out"))
        if self.views.by_content:
            lines.append(
                f"{len(self.views.by_content)} files are told by their pictures: grey ones are "
                "ultrasound, coloured ones clinical"
            )
        return lines


def _iso(date: str) -> str:
    """Return a date key as yyyy-mm-dd; other texts as they are."""
    match = re.fullmatch(r"(\d{4})-(\d\d?)-(\d\d?)", date)
    return f"{match[1]}-{int(match[2]):02}-{int(match[3]):02}" if match else date


def _safe(column: str, modalities: Iterable[str]) -> str:
    """Return the name of an attribute that is no column of a cases table."""
    reserved = {"lesion_id", "patient_id", "label", "split", *modalities}
    return f"{column}_" if column in reserved or column.endswith("_mask") else column


def _decimal(text: str) -> str:
    """Return a number with a decimal comma with a point."""
    return text.replace(",", ".") if re.fullmatch(r"-?\d+,\d+", text) else text.replace(JOIN, "/")
