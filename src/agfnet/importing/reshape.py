"""Spreadsheets in other shapes: several lesions in a row, a column of yes and no for each label."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from agfnet.diagnoses import look_up
from agfnet.errors import DataError
from agfnet.importing.column_names import FILE_COLUMN, plain_name, role_of
from agfnet.importing.header import Table
from agfnet.importing.labels import YES, is_yes_or_no

_NUMBERED = re.compile(r"(.*?)[ _.-]*\(?([1-9])\)?")
LESION, LABEL = "Lesion", "Label"
"""Names of the columns that are made."""


def one_row_per_lesion(
    table: Table, named: Mapping[str, str], modalities: Collection[str]
) -> Table:
    """Return a table whose rows with several lesions, as Diagnosis 1 and Diagnosis 2, are divided.

    Diagnosis 1 and Diagnosis 2 alone may be two of one lesion: images or lesions must be numbered
    too. The diagnoses may stand below Lesion 1 and Lesion 2.

    Args:
        table: the spreadsheet.
        named: what to column, by the user; such columns are left as they are.
        modalities: names of the image columns.
    """
    groups = _numbered_columns([c for c in table.columns if c not in named.values()])
    divided = {column for columns in groups.values() for column in columns.values()}
    kept = [column for column in table.columns if column not in divided]
    roles = {stem: role_of(stem)[0] for stem in groups}
    lesions = [stem for stem, role in roles.items() if role == "lesion_id"]
    labels = [stem for stem, role in roles.items() if role == "label"]
    images = [s for s in groups if FILE_COLUMN.search(plain_name(s)) or plain_name(s) in modalities]
    other_roles = {role_of(column)[0] for column in kept}
    names = {stem: stem for stem in groups}
    if lesions and not labels and "label" not in other_roles:
        cells = [text for c in groups[lesions[0]].values() for text in table.values(c)]
        if not any(map(str.isdigit, "".join(cells))):
            names[lesions[0]] = LABEL
    elif not (labels and (images or lesions)):
        return table
    if LABEL not in names.values() and not labels:
        return table
    lesion = [] if "lesion_id" in {*other_roles, *map(roles.get, names.values())} else [LESION]
    rows = []
    for line, texts in table.rows:
        for number in sorted({number for columns in groups.values() for number in columns}):
            values = {names[s]: texts.get(each.get(number, ""), "") for s, each in groups.items()}
            if any(values.values()):
                values |= dict.fromkeys(lesion, number)
                rows.append((line, {**{name: texts[name] for name in kept}, **values}))
    note = f"a row has several lesions, which are divided: {', '.join(sorted(divided))}"
    columns = (*kept, *names.values(), *lesion)
    return replace(table, columns=columns, rows=tuple(rows), notes=(*table.notes, note))


def _numbered_columns(columns: Collection[str]) -> dict[str, dict[str, str]]:
    """Return name to number to column, for the columns that several numbers distinguish."""
    groups: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for column in columns:
        match = _NUMBERED.fullmatch(column)
        if match and match[1]:
            groups[match[1]][match[2]] = column
    return {name: each for name, each in groups.items() if len(each) > 1}


def label_of_indicators(table: Table, named: Mapping[str, str]) -> Table:
    """Return a table with one column for labels that have a column each, marked where they apply.

    They are neighbouring columns of yes and no (1 and 0, x and nothing), of which one is named
    after a diagnosis, with one mark in each row; and no other column holds the label. A few rows
    may have no mark if two columns are named after diagnoses.

    Args:
        table: the spreadsheet.
        named: what to column, by the user.

    Raises:
        DataError: a row has two marks, or none, of columns that could be the label by their names.
    """
    labels = [name for name in table.columns if role_of(name)[0] == "label"]
    binary = [_is_binary(table, name) for name in table.columns]
    # columns such as benign and malignant, of which each alone could be the label
    marked = [n for n, b in zip(table.columns, binary, strict=True) if b and look_up(n)]
    if "label" in named or (labels and (len(marked) < 2 or not set(labels) <= set(marked))):
        return table
    several: str = ""
    for length in range(sum(binary), 1, -1):
        for start in range(len(table.columns) - length + 1):
            names = table.columns[start : start + length]
            diagnoses = sum(look_up(name) is not None for name in names)
            if not all(binary[start : start + length]) or not diagnoses:
                continue
            applying = [[n for n in names if _applies(cells[n])] for _, cells in table.rows]
            without = sum(not each for each in applying)
            if all(len(each) < 2 for each in applying) and (
                not without or (diagnoses > 1 and 5 * without <= len(applying))
            ):
                return _with_label(table, names, ["".join(each) for each in applying])
            if diagnoses == length and not several:
                numbers = zip((line for line, _ in table.rows), applying, strict=True)
                odd = [(line, each) for line, each in numbers if len(each) != 1]
                several = (
                    f"{', '.join(names)} may be a column for each label, but row {odd[0][0]} has "
                    f"{len(odd[0][1])} of them (and {len(odd) - 1} more rows): no label is taken"
                )
    if several and labels:
        raise DataError(
            f"{table.source}: {several}; correct these rows, or name the column of the diagnosis: "
            f"--columns.label, for example {labels[0]!r}"
        )
    return replace(table, notes=(*table.notes, several)) if several else table


def _is_binary(table: Table, name: str) -> bool:
    return bool(table.values(name)) and all(map(is_yes_or_no, table.values(name)))


def _applies(cell: str) -> bool:
    return cell.casefold() in YES


def _with_label(table: Table, names: Collection[str], labels: Sequence[str]) -> Table:
    rows = tuple(
        (line, {**{n: cell for n, cell in cells.items() if n not in names}, LABEL: label})
        for (line, cells), label in zip(table.rows, labels, strict=True)
    )
    columns = (*(name for name in table.columns if name not in names), LABEL)
    note = f"the label is the one of {', '.join(names)} that has a mark"
    if without := labels.count(""):
        note += f"; {without} rows have none and are unlabelled"
    return replace(table, columns=columns, rows=rows, notes=(*table.notes, note))
