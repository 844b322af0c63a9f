"""A spreadsheet and a tree of images to a cases table.

The columns are understood by their names and cells (or as the user says), and each file goes to a
row: because a cell names it, by a pattern of the user, or by ids in its path or DICOM attributes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agfnet.data.problems import StrPath
from agfnet.data.table import Case
from agfnet.errors import ConfigError, DataError
from agfnet.importing.assignment import Assignment
from agfnet.importing.cases import CaseMaker
from agfnet.importing.cells import Cells
from agfnet.importing.columns import Roles, guess_roles
from agfnet.importing.common import without_copies
from agfnet.importing.dates import Visits, dates_in, read_visits
from agfnet.importing.header import Table, find_table
from agfnet.importing.labels import key_of_labels
from agfnet.importing.lesions import LesionReader
from agfnet.importing.reshape import label_of_indicators, one_row_per_lesion
from agfnet.importing.sheets import Sheet, read_sheets
from agfnet.importing.tree import notes, sort_out, walk
from agfnet.importing.views import File, Views, read_tags, unread_tags


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
    table = one_row_per_lesion(table, columns, modalities)
    table = label_of_indicators(table, columns)
    tree = walk(root)
    images, others = sort_out(tree, without=source)
    found_files = [File(path) for path in images]
    for file in found_files:
        read_tags(root, file)
    views = Views(root, modalities)
    cells = Cells(root, images, tree.files)
    roles = guess_roles(
        table, columns, modalities, lambda text, _: cells.names_file(text), views.named
    )
    visits = _visits(source, table, roles, found_files)
    reader = LesionReader(source, table, roles, visits.dates)
    reader.read_rows()
    assignment = Assignment(reader, found_files, views, cells)
    assignment.take_named_files()
    assignment.take_patterns(files or {})
    assignment.take_by_ids(levels or {}, american=visits.american if visits.dates else None)
    maker = CaseMaker(source, table, roles, root, modalities)
    key_names = _key_names(sheets, table, roles)
    if not any(name in lesion.files for lesion in reader.lesions for name in modalities):
        raise DataError(assignment.no_match([*unread_tags(found_files), *others]))
    cases, copies = without_copies(maker.make(reader.lesions, key_names), root)
    lines = [*table.notes, *_other_sheets(sheets, table, key_names), *reader.notes]
    lines += [*roles.notes, *([visits.note] if visits.note else [])]
    lines += [*assignment.notes, *maker.notes, *copies, *assignment.unclaimed(), *notes(tree)]
    lines += [*others, *unread_tags(found_files)]
    used = [name for name in modalities if any(case.images.get(name) for case in cases)]
    lines += [f"there is no image of {name}" for name in modalities if name not in used]
    return Plan(
        tuple(cases), tuple(modalities), _described(table, roles, key_names),
        tuple(assignment.rules), tuple(lines),
    )  # fmt: skip


def _visits(source: Path, table: Table, roles: Roles, files: Sequence[File]) -> Visits:
    """Read the dates of the visits."""
    if "visit" not in roles.columns:
        return Visits({})
    column = roles.columns["visit"]
    texts = [text for file in files for text in (str(file.path), file.tags.get("StudyDate", ""))]
    dates = set[str]().union(*map(dates_in, texts))
    return read_visits(table.values(column), dates, f"{source} column {column}")


def _key_names(sheets: Sequence[Sheet], table: Table, roles: Roles) -> dict[str, str]:
    column = roles.columns.get("label")
    return key_of_labels(sheets, table, column) if column else {}


def _other_sheets(sheets: Sequence[Sheet], table: Table, key_names: Mapping[str, str]) -> list[str]:
    """Return a line about the sheets that are not read; or nothing."""
    read = table.sheets or (table.sheet,)
    others = [sheet.name for sheet in sheets if sheet.name not in read]
    if not others or key_names:
        return []
    names = ", ".join(map(repr, others[:5])) + ", …" * (len(others) > 5)
    named = " and ".join(map(repr, read))
    return [f"the sheet {named} is read, and not {names}; --sheet takes another one"]


def _described(
    table: Table, roles: Roles, key_names: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """Return what each column was taken for."""
    lines = [(role, column) for role, column in roles.columns.items()]
    lines += [(f"images of {n or 'any modality'}", c) for c, n in roles.images.items()]
    if key_names:
        pairs = ", ".join(f"{code} = {name}" for code, name in sorted(key_names.items()))
        lines.append(("names of the labels", pairs))
    if roles.identity:
        lines.append(("left out, identifies people", ", ".join(roles.identity)))
    used = {*roles.columns.values(), *roles.images, *roles.identity}
    others = [column for column in table.columns if column not in used]
    if others:
        lines.append(("attributes", ", ".join(others)))
    return tuple(lines)
