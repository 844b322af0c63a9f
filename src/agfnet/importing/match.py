"""Files to rows of a spreadsheet, by where in a path or in a DICOM attribute the ids are.

A position is a folder (or the file's name) and some words in it. For each column with ids, the
positions are looked for whose words are ids of the table in most files; those that assign most rows
are taken, then the same for the files that remain. So `P012_Mueller/lesion 1/IMG_4000.JPG` belongs
to the row with the patient 12 and the lesion 1, if most folders read like that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

from agfnet.importing.column_names import MATCH_ROLES
from agfnet.importing.ids import words
from agfnet.importing.positions import (
    Position,
    example_path,
    file_stem,
    find_hits,
    overlap,
    path_pattern,
    share_a_word,
)
from agfnet.importing.views import TAGS, File

MAX_POSITIONS = {1: 30, 2: 12, 3: 6, 4: 4, 5: 3}
"""Positions that are tried for each column, by the number of columns."""
ROUNDS = 8
_IMAGE = re.compile(
    r"im(?:g|age|agens?|agem)|bild|[fp]h?oto|pic|picture|dsc[nf]?|us|scan|frame|aufnahme"
)
"""Words before the number of an image."""


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
    hits = {role: find_hits(files, rows, role, levels.get(role), american) for role in roles}
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
        shown = example_path(files[example], positions)
        other = example_path(files[example], rival) if rival else ""
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
    known = {path_pattern(files[number], positions) for number in result}
    return {
        number for number in waiting if path_pattern(files[number], positions) in known - {None}
    }


def _counts_images(
    files: Sequence[File], positions: Mapping[str, Position], result: Mapping[int, int]
) -> bool:
    """Return whether the number of an id seems to be that of an image: `IMG_2.jpg`."""
    parts = words(file_stem(files[min(result)]))
    for level, start, width in positions.values():
        first = len(parts) + start + 1 if start < 0 else start
        numbered = level == "-1" and width and first > 0 and parts[first].isdecimal()
        if numbered and _IMAGE.fullmatch(parts[first - 1]):
            return True
    return False


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
                if overlap([position for (_, position), _ in combination]):
                    continue
                result = _assign([numbers for _, numbers in combination])
                result = {
                    n: row
                    for n, row in result.items()
                    if depths.get(len(files[n].path.parts), set()) <= set(subset)
                    and not share_a_word(files[n], [position for (_, position), _ in combination])
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
