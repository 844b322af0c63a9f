"""Files to rows of a spreadsheet, by where in a path or in a DICOM attribute the ids are.

A position is a folder (or the file's name) and some words in it. For each column with ids, the
positions are looked for whose words are ids of the table in most files; those that assign most rows
are taken, then the same for the files that remain. So `P012_Mueller/lesion 1/IMG_4000.JPG` belongs
to the row with the patient 12 and the lesion 1, if most folders read like that.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
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
    r"im(?:g|age|agens?|agem)?|bild|[fp]h?oto|pic|picture|dsc[nf]?|us|scan|frame|aufnahme"
)
"""Words before the number of an image."""
Hits = Mapping[tuple[int, Position], Mapping[int, list[int]]]
"""Variant of the ids and position, to the rows of each file whose words there are an id."""


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
    return _Search(files, rows, levels or {}, american).run()


@dataclass(frozen=True)
class _Candidate:
    """Positions of ids, and the files that they assign."""

    positions: dict[str, Position]
    result: dict[int, int]
    """File to row."""
    score: float
    """Number of rows that get files, and a little more for several ids."""

    @property
    def merit(self) -> tuple[int, int, int, int]:
        """Order of the candidates of one score.

        Attributes of DICOM are best, since folders may have numbers of other things; then folders,
        since names of files may even more; then more files; then longer ids, counted from the top.
        """
        places = self.positions.values()
        tags = sum(level in TAGS for level, _, _ in places)
        folders = sum(level != "-1" for level, _, _ in places)
        length = sum((width or 9) + level.startswith("+") for level, _, width in places)
        return tags, folders, len(self.result), length

    def contradicts(self, other: _Candidate) -> bool:
        """Return whether most files have other rows than with another candidate."""
        pairs = self.result.items()
        return 2 * sum(other.result.get(n, row) != row for n, row in pairs) > len(pairs)


class _Search:
    """Looks for positions, as `match_files`, one rule after the other."""

    def __init__(
        self,
        files: Sequence[File],
        rows: Sequence[Mapping[str, str]],
        levels: Mapping[str, int],
        american: bool | None,
    ) -> None:
        self.files, self.rows = files, rows
        self.roles = [role for role in MATCH_ROLES if any(row.get(role) for row in rows)]
        self.hits: dict[str, Hits] = {
            role: find_hits(files, rows, role, levels.get(role), american) for role in self.roles
        }
        self.waiting = set(range(len(files)))
        lesions = [row.get("lesion_id", "") for row in rows]
        self.lesion_suffices = len(set(lesions)) == len(lesions)
        self.required: dict[int, set[str]] = {}
        """Number of folders above a file, to the ids that a rule for such files must find."""

    def run(self) -> Matches:
        """Take the best positions, and then the best for the files that remain."""
        assigned: dict[int, int] = {}
        rules: list[Rule] = []
        for _ in range(ROUNDS):
            best, rival = self._best()
            if best is None:
                break
            example = self.files[min(best.result)]
            other = example_path(example, rival.positions) if rival else ""
            shown = example_path(example, best.positions)
            rules.append(Rule(best.positions, len(best.result), shown, other))
            assigned |= best.result
            self.waiting -= best.result.keys()
            self.waiting -= self._alike(best)
            self._require(best)
        return Matches(assigned, rules)

    def _require(self, rule: _Candidate) -> None:
        """Demand the ids of a rule for the other files at the depth of its files."""
        if "lesion_id" in rule.positions:
            ids = {"lesion_id"} if self.lesion_suffices else set(rule.positions)
            for number in rule.result:
                self.required.setdefault(self._depth(number), set()).update(ids)

    def _depth(self, number: int) -> int:
        return len(self.files[number].path.parts)

    def _best(self) -> tuple[_Candidate | None, _Candidate | None]:
        """Return the candidate that gives files to most rows, and a rival.

        The rival has the same score, but gives most files to other rows.
        """
        top: list[_Candidate] = []
        for candidate in self._candidates():
            if top and candidate.score < top[0].score:
                continue
            if self._counts_images(candidate) or self._repeats_an_id(candidate):
                continue
            if top and candidate.score > top[0].score:
                top.clear()
            top.append(candidate)
        if not top:
            return None, None
        best = max(top, key=lambda candidate: candidate.merit)
        return best, next((other for other in top if best.contradicts(other)), None)

    def _candidates(self) -> Iterator[_Candidate]:
        """Yield what all combinations of likely positions assign, if it covers enough rows."""
        for size in range(1, len(self.roles) + 1):
            for roles in combinations(self.roles, size):
                likely = (self._likely(self.hits[role], MAX_POSITIONS[size]) for role in roles)
                for pairs in product(*likely):
                    places = [position for (_, position), _ in pairs]
                    if overlap(places):
                        continue
                    result = self._assigned(roles, places, [numbers for _, numbers in pairs])
                    variants = [variant for (variant, _), _ in pairs]
                    covered = set(result.values())
                    if len(covered) < self._least(roles, places, variants, covered):
                        continue
                    positions = dict(zip(roles, places, strict=True))
                    score = len(covered) * (1 + 0.05 * (size - 1))
                    yield _Candidate(positions, result, score)

    def _likely(
        self, hits: Hits, count: int
    ) -> list[tuple[tuple[int, Position], dict[int, list[int]]]]:
        """Return the positions of an id with most different rows, and the rows of waiting files."""
        current = [
            (position, {n: rows for n, rows in numbers.items() if n in self.waiting})
            for position, numbers in hits.items()
        ]
        ranked = sorted(
            (item for item in current if item[1]),
            key=lambda item: (-len({tuple(rows) for rows in item[1].values()}), -len(item[1])),
        )
        return ranked[:count]

    def _assigned(
        self,
        roles: Collection[str],
        places: Sequence[Position],
        hits: Sequence[Mapping[int, list[int]]],
    ) -> dict[int, int]:
        """Return the row of each file that all columns agree on, where it is one."""
        result = {}
        for number in min(hits, key=len):
            if not all(number in each for each in hits):
                continue
            fitting = set(hits[0][number]).intersection(*(each[number] for each in hits[1:]))
            if (
                len(fitting) == 1
                and self.required.get(self._depth(number), set()) <= set(roles)
                and not share_a_word(self.files[number], places)
            ):
                result[number] = fitting.pop()
        return result

    def _least(
        self,
        roles: Sequence[str],
        places: Sequence[Position],
        variants: Sequence[int],
        covered: Collection[int],
    ) -> float:
        """Return how many rows must get files: one if the ids cannot be met by chance."""
        ids = [
            [_matched(self.rows[row].get(role, ""), variant) for row in covered]
            for role, variant in zip(roles, variants, strict=True)
        ]
        by_name = [
            texts
            for texts, (level, _, width) in zip(ids, places, strict=True)
            if level == "-1" and width
        ]
        if any(map(_definite, ids)) and all(map(_definite, by_name)):
            return 1
        return min(len(self.rows), max(2, 0.3 * len(self.rows)))

    def _alike(self, rule: _Candidate) -> set[int]:
        """Return the files that read like those of a rule, but have ids that no row has.

        Another rule must not give `P1/lesion 2/IMG_1.JPG` to the lesion 1 because of its name.
        """
        shapes = {path_pattern(self.files[n], rule.positions) for n in rule.result} - {None}
        others = self.waiting - rule.result.keys()
        return {n for n in others if path_pattern(self.files[n], rule.positions) in shapes}

    def _counts_images(self, rule: _Candidate) -> bool:
        """Return whether the number of an id is that of an image, `IMG_2.jpg`, which others have.

        Then some files read like those of the rule, but have numbers that no row has.
        """
        parts = words(file_stem(self.files[min(rule.result)]))
        for level, start, width in rule.positions.values():
            first = len(parts) + start + 1 if start < 0 else start
            numbered = level == "-1" and width and first > 0 and parts[first].isdecimal()
            if numbered and _IMAGE.fullmatch(parts[first - 1]):
                return bool(self._alike(rule))
        return False

    def _repeats_an_id(self, rule: _Candidate) -> bool:
        """Return whether an id has the number of another one in all files, but not in all rows.

        In `IM1a` and `IM1b` of the patient 1, and `IM2a` of the patient 2, the number is that of
        the patient, and not that of the lesions 1 and 2.
        """
        for first, second in combinations(rule.positions, 2):
            numbers = [(_number(row, first), _number(row, second)) for row in self.rows]
            taken = {numbers[row] for row in rule.result.values()}
            if len(taken) > 1 and all(a == b for a, b in taken):
                return any(a != b for a, b in numbers)
        return False


def _number(row: Mapping[str, str], role: str) -> str:
    """Return the last number of an id, or the id."""
    text = row.get(role, "")
    return next((word for word in reversed(words(text)) if word.isdecimal()), text)


def _matched(text: str, variant: int) -> str:
    """Return the part of an id that was compared: all of it, or its number."""
    return [word for word in words(text) if word.isdecimal()][-1] if variant else text


def _definite(ids: Sequence[str]) -> bool:
    """Return whether ids are too long or too mixed to be met by chance."""
    return bool(ids) and all(
        len(text) >= 4 or re.search(r"[^\W\d]\D*\d", text) is not None for text in ids
    )
