"""Positions of ids in the path of a file or in its DICOM attributes."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from agfnet.importing.dates import date_keys
from agfnet.importing.ids import key, side_key, spans, words
from agfnet.importing.views import TAGS, File

_TAGS_OF: dict[str, tuple[str, ...]] = {
    "centre": (),
    "patient_id": ("PatientID",),
    "lesion_id": ("PatientID", "AccessionNumber", "StudyID", "SeriesDescription"),
    "visit": ("StudyDate", "StudyID"),
    "accession": ("AccessionNumber", "StudyID"),
}


FOLDERS = "last two folders"


Position = tuple[str, int, int]
"""Level (a number from the end of the path, or a DICOM attribute), first word, number of words."""


def path_pattern(file: File, positions: Mapping[str, Position]) -> tuple[object, ...] | None:
    """Return the words of a file at positions, ids replaced by what they consist of."""
    parts = [*file.path.parts[:-1], file_stem(file)]
    shape: list[object] = []
    if any(level == FOLDERS for level, _, _ in positions.values()):
        return None
    for level, start, width in positions.values():
        if not re.fullmatch(r"[+-]\d+", level):
            shape.append(file.tags.get(level, "") != "")
            continue
        index = int(level) if level.startswith("+") else len(parts) + int(level)
        if not 0 <= index < len(parts):
            return None
        component = words(parts[index])
        first = len(component) + start + 1 if start < 0 else start
        ids = range(len(component)) if width == 0 else range(first, first + width)
        if width and not 0 <= first <= first + width <= len(component):
            return None
        letters = [
            ("1" if word.isdecimal() else "a") if number in ids else word
            for number, word in enumerate(component)
        ]
        shape.append((index - (len(parts) if index == len(parts) - 1 else 0), *letters))
    return tuple(shape)


def _keys(rows: Sequence[Mapping[str, str]], role: str) -> list[dict[str, list[int]]]:
    """Return key to rows: by the whole id and, where it is as definite, by its number alone."""
    texts = [row.get(role, "") for row in rows]
    dates = date_keys(texts) if role == "visit" else {}
    whole: defaultdict[str, list[int]] = defaultdict(list)
    number: defaultdict[str, list[int]] = defaultdict(list)
    for index, text in enumerate(texts):
        if text:
            whole[dates.get(text) or side_key(key(text)) or key(text)].append(index)
            digits = [part for part in words(text) if part.isdecimal()]
            if digits and text not in dates:
                number[digits[-1]].append(index)
    same = sorted(map(tuple, whole.values())) == sorted(map(tuple, number.values()))
    return [whole, number] if same and number.keys() != whole.keys() else [whole]


def find_hits(
    files: Sequence[File],
    rows: Sequence[Mapping[str, str]],
    role: str,
    known_level: int | None,
    american: bool | None,
) -> dict[tuple[int, Position], dict[int, list[int]]]:
    """Return, for each position, the rows of each file whose words there are an id."""
    result: defaultdict[tuple[int, Position], dict[int, list[int]]] = defaultdict(dict)
    keys = _keys(rows, role)
    sides = keys[0].keys() <= {"left", "right"}
    for number, file in enumerate(files):
        parts = [*file.path.parts[:-1], file_stem(file)]
        texts = {str(level - len(parts)): part for level, part in enumerate(parts)}
        texts |= {f"+{level}": part for level, part in enumerate(parts[:-1])}
        texts |= {name: file.tags[name] for name in _TAGS_OF[role] if file.tags.get(name)}
        if len(parts) > 2 and role in ("patient_id", "lesion_id"):
            texts[FOLDERS] = "/".join(parts[-3:-1])  # the id P01L2 in the folders P01/L2
        if known_level is not None:
            texts = {name: text for name, text in texts.items() if name == f"+{known_level}"}
        for level, text in texts.items():
            whole = level in TAGS and level != "SeriesDescription"
            for start, width, span in spans(text, american=american):
                if whole and width and not (role == "visit" and span.count("-") == 2):
                    continue
                span = side_key(span) if sides else span
                for variant, known in enumerate(keys):
                    if span in known and not (
                        variant and _is_of_another_id(text, start, rows[known[span][0]][role])
                    ):
                        result[variant, (level, start, width)][number] = known[span]
    return dict(result)


def _is_of_another_id(text: str, start: int, identifier: str) -> bool:
    """Return whether the word before a number shows that it is not the number of an id.

    `2023-001` is not 001 of `2022-001`, and `IMG001` not that of `PAT001`; `US_001` may be that of
    `P001`.
    """
    parts, ids = words(text), words(identifier)
    last = max(number for number, word in enumerate(ids) if word.isdecimal())
    start = len(parts) + start + 1 if start < 0 else start
    before, expected = parts[start - 1 : start], ids[last - 1 : last]
    return (
        0 < start < len(parts)
        and bool(expected)
        and before != expected
        and (
            expected[0].isdecimal()
            or (not before[0].isdecimal() and len(before[0]) == len(expected[0]))
        )
    )


def file_stem(file: File) -> str:
    """Return the name of a file without its suffix, if that is one: `P1.2` stays as it is."""
    stem, suffix = file.path.stem, file.path.suffix
    return stem if re.fullmatch(r"\.[A-Za-z]{2,5}", suffix) or not suffix else file.path.name


def overlap(places: Sequence[Position]) -> bool:
    """Return whether two ids are the same words; those of one DICOM attribute always count so."""
    taken: Counter[tuple[str, int]] = Counter()
    ends: defaultdict[str, set[bool]] = defaultdict(set)
    for level, start, width in places:
        if not level.startswith(("+", "-")):
            start, width = 0, 1
        taken.update((level, start + offset) for offset in range(max(1, width)))
        ends[level].add(start < 0)
    mixed = any(len(each) > 1 for level, each in ends.items() if level != "-1")
    return mixed or any(count > 1 for count in taken.values())


def share_a_word(file: File, positions: Sequence[Position]) -> bool:
    """Return whether two ids are the same word of a file, counted from the start and the end."""
    depth = len(file.path.parts)
    levels = [
        (int(level) + depth * (level[0] == "-"), start, width)
        for level, start, width in positions
        if level[0] in "+-"
    ]
    indices = [index for index, _, _ in levels]
    if len(set(indices)) == len(indices):
        return False
    taken: list[tuple[int, int]] = []
    for index, start, width in levels:
        part = file_stem(file) if index == depth - 1 else file.path.parts[index]
        count = len(words(part))
        first = count + start + 1 if start < 0 and width else max(0, start)
        taken += ((index, word) for word in range(first, first + (width or count)))
    return len(set(taken)) < len(taken)


def example_path(file: File, positions: Mapping[str, Position]) -> str:
    """Return the path of a file with placeholders in place of the ids."""
    parts = [*file.path.parts[:-1], file_stem(file)]
    changes: defaultdict[int, list[tuple[int, int, str]]] = defaultdict(list)
    tags = []
    for role, (level, start, width) in positions.items():
        name = f"{{{role.removesuffix('_id')}}}"
        if not re.fullmatch(r"[+-]\d+", level):
            tags.append(f"DICOM {level} = {name}" if level in TAGS else f"{level} = {name}")
            continue
        index = int(level) if level.startswith("+") else len(parts) + int(level)
        matches = list(re.finditer(r"\d+|[^\W\d_]+", parts[index]))
        if width == 0:
            changes[index].append((0, len(parts[index]), name))
        else:
            first = len(matches) + start + 1 if start < 0 else start
            changes[index].append((matches[first].start(), matches[first + width - 1].end(), name))
    for index, edits in changes.items():
        for begin, end, name in sorted(edits, reverse=True):
            parts[index] = parts[index][:begin] + name + parts[index][end:]
    path = "/".join(parts) + file.path.name.removeprefix(file_stem(file))
    return ", ".join([path if changes else str(file.path), *tags])
