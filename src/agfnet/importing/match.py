"""Files to rows of a spreadsheet, by where in a path or in a DICOM attribute the ids are.

A position is a folder (or the file's name) and some words in it. For each column with ids, the
positions are looked for whose words are ids of the table in most files; those that assign most rows
are taken, then the same for the files that remain. So `P012_Mueller/lesion 1/IMG_4000.JPG` belongs
to the row with the patient 12 and the lesion 1, if most folders read like that.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, product

from agfnet.importing.column_names import MATCH_ROLES
from agfnet.importing.dates import date_keys
from agfnet.importing.views import TAGS, File

MAX_WIDTH = 5
"""Words of one id."""
MAX_POSITIONS = {1: 30, 2: 12, 3: 6, 4: 4, 5: 3}
"""Positions that are tried for each column, by the number of columns."""
ROUNDS = 8
_IMAGE = re.compile(
    r"im(?:g|age|agens?|agem)|bild|[fp]h?oto|pic|picture|dsc[nf]?|us|scan|frame|aufnahme"
)
"""Words before the number of an image."""
_SIDES = (
    re.compile(
        r"left|li?|lt|link(?:s|er?|es)|gauche|g|izq(?:uierd[ao])?|i|esq(?:uerd[ao])?|e|"
        r"sin(?:istra|ister)?|s|左侧?|左側"
    ),
    re.compile(
        r"right|re?|rt|recht(?:s|er?|es)|droite?|d|der(?:ech[ao])?|dcha|dir(?:eit[ao])?|dx|"
        r"dext(?:ra|er)|右侧?|右側"
    ),
)
"""Words and abbreviations for the sides of the body, left and right."""
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


@lru_cache(maxsize=1 << 16)
def words(text: str) -> tuple[str, ...]:
    """Return letters and numbers of a text, in lower case, numbers without leading zeros."""
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", text).casefold())
    return tuple(_number(word) for word in re.findall(r"\d+|[^\W\d_]+", plain))


def _number(word: str) -> str:
    return word.lstrip("0") or "0" if word.isdecimal() else word


def key(text: str) -> str:
    """Return what all spellings of an id share: `P-012`, `p12` and `P 12` are `p-12`."""
    return "-".join(words(re.sub(r"(?<=\d)[.,]0+$", "", text)))


def side_key(word: str) -> str:
    """Return `left` or `right` for a word or letter for a side of the body; empty for others."""
    return next(
        (n for n, x in zip(("left", "right"), _SIDES, strict=True) if x.fullmatch(word)), ""
    )


def spans(text: str, *, american: bool | None = None) -> Iterator[tuple[int, int, str]]:
    """Yield first word, number of words and key of parts of a name; dates also as y-m-d.

    Args:
        text: name of a folder or file.
        american: as for `date_keys`.
    """
    parts = words(text)
    for start in range(len(parts)):
        for width in range(1, min(MAX_WIDTH, len(parts) - start) + 1):
            span = parts[start : start + width]
            yield start, width, "-".join(span)
            joined = ".".join(span)
            if (width == 3 and len(joined) >= 8) or (width == 1 and len(joined) == 8):
                for date in date_keys([joined], american=american).values():
                    yield start, width, date
    yield -1, 0, "-".join(parts)
    for end in range(1, min(4, len(parts)) + 1):
        yield -1 - end, 1, parts[-end]


@dataclass(frozen=True)
class Rule:
    """Positions of ids that assigned files to rows."""

    positions: dict[str, Position]
    """Role to position."""
    files: int
    example: str
    """A path with placeholders in place of the ids."""
    rival: str = ""
    """Another position of the ids that fits as many rows, and gives the files to other ones."""


@dataclass(frozen=True)
class Matches:
    """The rows of the files."""

    rows: dict[int, int]
    """Number of a file to number of a row."""
    rules: list[Rule]


def match_files(
    files: Sequence[File],
    rows: Sequence[Mapping[str, str]],
    levels: Mapping[str, int] | None = None,
    *,
    american: bool | None = None,
) -> Matches:
    """Assign files to rows by their ids.

    Args:
        files: of the tree.
        rows: role (`patient_id`, `lesion_id`, `visit`, `accession`) to the id, for each row.
        levels: role to the level of the folder that holds it, where the user says so.
        american: whether dates in names have the month first, as for `date_keys`.
    """
    levels = levels or {}
    roles = [role for role in MATCH_ROLES if any(row.get(role) for row in rows)]
    hits = {role: _hits(files, rows, role, levels.get(role), american) for role in roles}
    assigned: dict[int, int] = {}
    rules: list[Rule] = []
    depths: dict[int, set[str]] = {}
    waiting = set(range(len(files)))
    for _ in range(ROUNDS):
        best = _best(files, rows, roles, hits, waiting, depths)
        if best is None:
            break
        positions, result, rival = best
        assigned |= result
        waiting -= result.keys()
        example = min(result)
        shown = _shown(files[example], positions)
        other = _shown(files[example], rival) if rival else ""
        rules.append(Rule(positions, len(result), shown, other))
        waiting -= _alike(files, positions, result, waiting)
        for number in result:
            if positions.keys() & {"lesion_id"}:
                depths.setdefault(len(files[number].path.parts), set()).update(positions)
    return Matches(assigned, rules)


def _alike(
    files: Sequence[File],
    positions: Mapping[str, Position],
    result: Mapping[int, int],
    waiting: set[int],
) -> set[int]:
    """Return the files that read like those of a rule, but have ids that no row has.

    Another rule must not give `P1/lesion 2/IMG_1.JPG` to the lesion 1 because of its name.
    """
    known = {_shape(files[number], positions) for number in result}
    return {number for number in waiting if _shape(files[number], positions) in known - {None}}


def _counts_images(
    files: Sequence[File], positions: Mapping[str, Position], result: Mapping[int, int]
) -> bool:
    """Return whether the number of an id seems to be that of an image: `IMG_2.jpg`."""
    parts = words(_stem(files[min(result)]))
    for level, start, width in positions.values():
        first = len(parts) + start + 1 if start < 0 else start
        numbered = level == "-1" and width and first > 0 and parts[first].isdecimal()
        if numbered and _IMAGE.fullmatch(parts[first - 1]):
            return True
    return False


def _shape(file: File, positions: Mapping[str, Position]) -> tuple[object, ...] | None:
    """Return the words of a file at positions, ids replaced by what they consist of."""
    parts = [*file.path.parts[:-1], _stem(file)]
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


def _hits(
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
        parts = [*file.path.parts[:-1], _stem(file)]
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


def _stem(file: File) -> str:
    stem, suffix = file.path.stem, file.path.suffix
    return stem if re.fullmatch(r"\.[A-Za-z]{2,5}", suffix) or not suffix else file.path.name


def _best(
    files: Sequence[File],
    rows: Sequence[Mapping[str, str]],
    roles: Sequence[str],
    hits: Mapping[str, dict[tuple[int, Position], dict[int, list[int]]]],
    waiting: set[int],
    depths: Mapping[int, set[str]],
) -> tuple[dict[str, Position], dict[int, int], dict[str, Position]] | None:
    """Return the positions that assign most rows, with the row of each file, and a rival.

    A rival assigns as many rows, but most of the same files to other ones.
    """
    alike: list[tuple[dict[str, Position], dict[int, int]]] = []  # with the best score
    best: tuple[float, tuple[int, int, int, int], dict[str, Position], dict[int, int]] | None = None
    for size in range(1, len(roles) + 1):
        for subset in combinations(roles, size):
            options = []
            for role in subset:
                current = {
                    position: {n: row_numbers for n, row_numbers in numbers.items() if n in waiting}
                    for position, numbers in hits[role].items()
                }
                ranked = sorted(
                    (item for item in current.items() if item[1]),
                    key=lambda item: (-len({tuple(r) for r in item[1].values()}), -len(item[1])),
                )
                options.append(ranked[: MAX_POSITIONS[size]])
            for combination in product(*options):
                if _overlap([position for (_, position), _ in combination]):
                    continue
                result = _assign([numbers for _, numbers in combination])
                result = {
                    n: row
                    for n, row in result.items()
                    if depths.get(len(files[n].path.parts), set()) <= set(subset)
                    and not _shared_word(files[n], [position for (_, position), _ in combination])
                }
                covered = set(result.values())
                ids = [
                    [_matched(rows[r].get(role, ""), variant) for r in covered]
                    for role, ((variant, _), _) in zip(subset, combination, strict=True)
                ]
                by_name = [
                    texts
                    for texts, ((_, (level, _, width)), _) in zip(ids, combination, strict=True)
                    if level == "-1" and width
                ]
                certain = any(map(_definite, ids)) and all(map(_definite, by_name))
                if len(covered) < (1 if certain else min(len(rows), max(2, 0.3 * len(rows)))):
                    continue
                score = len(covered) * (1 + 0.05 * (size - 1))
                positions = {
                    role: position
                    for role, ((_, position), _) in zip(subset, combination, strict=True)
                }
                merit = _merit(positions, len(result))
                if best is not None and score < best[0]:
                    continue
                others = waiting - result.keys()
                if _counts_images(files, positions, result) and _alike(
                    files, positions, result, others
                ):
                    continue
                if best is None or score > best[0]:
                    alike.clear()
                if all(result != other for _, other in alike):
                    alike.append((positions, result))
                if best is None or (score, merit) > best[:2]:
                    best = score, merit, positions, result
    if best is None:
        return None
    _, _, positions, result = best
    rivals = (rival for rival, other in alike if _contradict(result, other))
    return positions, result, next(rivals, {})


def _contradict(result: Mapping[int, int], other: Mapping[int, int]) -> bool:
    """Return whether most files have other rows."""
    return 2 * sum(other.get(n, row) != row for n, row in result.items()) > len(result)


def _overlap(places: Sequence[Position]) -> bool:
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


def _shared_word(file: File, positions: Sequence[Position]) -> bool:
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
        part = _stem(file) if index == depth - 1 else file.path.parts[index]
        count = len(words(part))
        first = count + start + 1 if start < 0 and width else max(0, start)
        taken += ((index, word) for word in range(first, first + (width or count)))
    return len(set(taken)) < len(taken)


def _assign(hits: Sequence[Mapping[int, list[int]]]) -> dict[int, int]:
    """Return the row of each file that all columns agree on, where it is one."""
    result = {}
    smallest = min(hits, key=len)
    for number in smallest:
        if all(number in each for each in hits):
            fitting = set(hits[0][number]).intersection(*(each[number] for each in hits[1:]))
            if len(fitting) == 1:
                result[number] = fitting.pop()
    return result


def _merit(positions: Mapping[str, Position], files: int) -> tuple[int, int, int, int]:
    """Return what decides between positions that assign as many rows.

    Attributes of DICOM are best, since folders may have numbers of other things; then folders,
    since names of files may even more; then more files; then longer ids, counted from the top.
    """
    tags = sum(level in TAGS for level, _, _ in positions.values())
    folders = sum(level != "-1" for level, _, _ in positions.values())
    length = sum((width or 9) + level.startswith("+") for level, _, width in positions.values())
    return tags, folders, files, length


def _matched(text: str, variant: int) -> str:
    """Return the part of an id that was compared: all of it, or its number."""
    return [word for word in words(text) if word.isdecimal()][-1] if variant else text


def _definite(ids: Sequence[str]) -> bool:
    """Return whether ids are too long or too mixed to be met by chance."""
    return bool(ids) and all(
        len(text) >= 4 or re.search(r"[^\W\d]\D*\d", text) is not None for text in ids
    )


def _shown(file: File, positions: Mapping[str, Position]) -> str:
    """Return the path of a file with placeholders in place of the ids."""
    parts = [*file.path.parts[:-1], _stem(file)]
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
    path = "/".join(parts) + file.path.name.removeprefix(_stem(file))
    return ", ".join([path if changes else str(file.path), *tags])
