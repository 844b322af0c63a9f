"""Spreadsheets in other shapes: several lesions in a row, a column of 0 and 1 for each label."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace

from agfnet.diagnoses import look_up
from agfnet.importing.column_names import FILE_COLUMN, plain_name, role_of
from agfnet.importing.header import Table

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
    """Return a table with one column for labels that have a column each, with 1 where they apply.

    They are neighbouring columns of 0 and 1 with a single 1 in each row, of which one is named
    after a diagnosis; and no other column holds the label.

    Args:
        table: the spreadsheet.
        named: what to column, by the user.
    """
    if "label" in named or any(role_of(name)[0] == "label" for name in table.columns):
        return table
    binary = [
        set(table.values(name)) <= {"0", "1", "0.0", "1.0"} and bool(table.values(name))
        for name in table.columns
    ]
    for length in range(sum(binary), 1, -1):
        for start in range(len(table.columns) - length + 1):
            names = table.columns[start : start + length]
            if all(binary[start : start + length]) and any(look_up(name) for name in names):
                applying = [[n for n in names if cells[n][:1] == "1"] for _, cells in table.rows]
                if all(len(each) == 1 for each in applying):
                    return _with_label(table, names, [each[0] for each in applying])
    return table


def _with_label(table: Table, names: Collection[str], labels: Collection[str]) -> Table:
    rows = tuple(
        (line, {**{n: cell for n, cell in cells.items() if n not in names}, LABEL: label})
        for (line, cells), label in zip(table.rows, labels, strict=True)
    )
    columns = (*(name for name in table.columns if name not in names), LABEL)
    note = f"the label is the one of {', '.join(names)} that has a 1"
    return replace(table, columns=columns, rows=rows, notes=(*table.notes, note))
