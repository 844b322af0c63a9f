"""Shortcuts: columns and image properties that alone predict the label.

Each column and each property of the images is compared with the label: Cramér's V with the
correction for bias (Bergsma 2013), the chi-square test, or its permutation test where a cell is too
small for it, and Holm's correction for the number of comparisons. Only one lesion of each patient
counts, because lesions of one patient share their devices.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2_contingency, random_table

from agfnet.check.findings import Findings
from agfnet.check.survey import Use
from agfnet.data.folds import FOLD
from agfnet.data.table import Case

FEWEST = 5
"""Labels of fewer lesions are left out; values of fewer lesions are taken together."""
LESIONS = 30
"""Fewest lesions that a comparison rests on."""
MANY = 12
"""Numbers of more values than this are divided into fifths."""
ALPHA = 0.01
"""Largest p that is reported, corrected."""
DRAWS = 9999
SUSPICION = dict.fromkeys(("shortcut_image", "shortcut_missing", "shortcut_marks"), 2 / 3)
"""Factor to the smallest strength: a column may be medically related, as age is; these are not."""
_FIX = "a network may learn it instead of the lesion: balance it, or report results without it"
_FIXES = {
    "shortcut_column": "where images show it, as they show a site or a device, a network may learn "
    "it instead of the lesion: balance it, or report results within each value"
}

Values = dict[int, str]
"""Values that are compared with the label, by the row of the case."""


@dataclass(frozen=True)
class Suspect:
    """Something that may predict the label."""

    finding: str
    column: str
    name: str
    values: Values


@dataclass(frozen=True)
class Association:
    """Strength of the association of values and labels."""

    strength: float
    """Cramér's V: 0 not at all, 1 entirely."""
    p: float
    example: str
    """The value and the label that go together most clearly, in words."""


def check_shortcuts(
    cases: Sequence[Case], uses: Sequence[Use], findings: Findings, *, strength: float
) -> None:
    """Report what predicts the label.

    Args:
        cases: of the table; of those with a split only the training ones count.
        uses: the images that were read, or none.
        findings: where to report.
        strength: smallest Cramér's V that is reported.
    """
    trained = [case for case in cases if case.split == "train"] or cases
    lesions = {case.patient_id: case for case in reversed(trained) if case.label}
    people = list(lesions.values())
    labels = {case.row: case.label for case in people}
    suspects = [*_columns(people), *_missing(people), *_facts(uses)]
    associations = []
    for suspect in suspects:
        rows = [row for row in labels if row in suspect.values]
        result = associate([labels[row] for row in rows], [suspect.values[row] for row in rows])
        if result is not None:
            associations.append((suspect, result))
    for suspect, result in sorted(_significant(associations), key=lambda each: -each[1].strength):
        if result.strength >= strength * SUSPICION.get(suspect.finding, 1):
            findings.add(
                suspect.finding,
                f"{suspect.name} predicts the label (Cramér's V {result.strength:.2f}): "
                f"{result.example}; {_FIXES.get(suspect.finding, _FIX)}",
                column=suspect.column,
            )


def _significant(
    associations: list[tuple[Suspect, Association]],
) -> list[tuple[Suspect, Association]]:
    """Return those that are not due to chance, by Holm's correction."""
    ordered = sorted(associations, key=lambda each: each[1].p)
    for number, (_, result) in enumerate(ordered):
        if result.p * (len(ordered) - number) > ALPHA:
            return ordered[:number]
    return ordered


def _columns(cases: Sequence[Case]) -> list[Suspect]:
    names = dict.fromkeys(name for case in cases for name in case.attributes if name != FOLD)
    return [
        Suspect("shortcut_column", name, "the column", {c.row: c.attributes[name] for c in cases})
        for name in names
    ]


def _missing(cases: Sequence[Case]) -> list[Suspect]:
    names = dict.fromkeys(name for case in cases for name in case.images)
    return [
        Suspect(
            "shortcut_missing",
            name,
            f"whether {name} is missing",
            {case.row: "there" if case.images[name] else "missing" for case in cases},
        )
        for name in names
    ]


def _facts(uses: Sequence[Use]) -> list[Suspect]:
    """Return the properties of the first image of each cell, and whether any has annotations."""
    suspects: dict[tuple[str, str], Suspect] = {}

    def note(finding: str, use: Use, name: str, value: object) -> None:
        key = use.column, name
        suspect = suspects.setdefault(key, Suspect(finding, use.column, f"{name} {key[0]}", {}))
        suspect.values.setdefault(use.case.row, str(value))

    counts: Counter[tuple[str, int]] = Counter()
    marked: defaultdict[tuple[str, int], bool] = defaultdict(bool)
    for use in uses:
        key, facts = (use.column, use.case.row), use.facts
        counts[key] += facts.frames
        marked[key] |= facts.white_marks or facts.coloured_marks or facts.header.burned_in
    for use in uses:
        key, facts = (use.column, use.case.row), use.facts
        note("shortcut_image", use, "the area in pixels of", facts.size[0] * facts.size[1])
        note("shortcut_image", use, "the shape of", f"{facts.size[0] / facts.size[1]:.2f}")
        note("shortcut_image", use, "the file format of", facts.header.format)
        note("shortcut_image", use, "the device that made", facts.header.device or "unnamed")
        note("shortcut_image", use, "the number of images of", counts[key])
        note(
            "shortcut_marks",
            use,
            "whether marks are drawn into",
            "drawn" if marked[key] else "none",
        )
    return list(suspects.values())


def associate(labels: Sequence[str], values: Sequence[str]) -> Association | None:
    """Compare values with labels, case by case.

    Returns:
        None where there is too little to compare: few cases, or one label or value.
    """
    often = {label for label, count in Counter(labels).items() if count >= FEWEST}
    kept = [pair for pair in zip(labels, values, strict=True) if pair[0] in often]
    if len(kept) < LESIONS:
        return None
    names, rows = np.unique([label for label, _ in kept], return_inverse=True)
    levels, columns = np.unique(_levels([value for _, value in kept]), return_inverse=True)
    if len(names) < 2 or len(levels) < 2:
        return None
    table = np.zeros((len(names), len(levels)), dtype=np.int64)
    np.add.at(table, (rows, columns), 1)
    expected = np.outer(table.sum(1), table.sum(0)) / table.sum()
    scores = (table - expected) / np.sqrt(expected)
    i, j = np.unravel_index(scores.argmax(), scores.shape)
    level, label = str(levels[j]), str(names[i])
    example = (
        f"{table[i, j]} of {table[:, j].sum()} lesions with {level!r} are {label!r}, "
        f"{table[i].sum()} of {table.sum()} of all"
    )
    return Association(_strength(table), _p(table, expected), example)


def _levels(values: Sequence[str]) -> list[str]:
    """Reduce to a few values: numbers in fifths, rare ones together."""
    if len(set(values)) > MANY:
        values = _fifths(values)
    counts = Counter(values)
    return [value if counts[value] >= FEWEST else "a rare value" for value in values]


def _fifths(values: Sequence[str]) -> Sequence[str]:
    try:
        numbers = np.array([float(value or "nan") for value in values])
    except ValueError:
        return values
    ends = np.nanquantile(numbers, [0.2, 0.4, 0.6, 0.8])
    # enough digits: fifths whose names are equal, as of dates like 20230101, would be one value
    names = [f"less than {ends[0]:.10g}", *(f"{end:.10g} or more" for end in ends)]
    fifths = np.searchsorted(ends, numbers, side="right")
    pairs = zip(fifths.tolist(), np.isnan(numbers).tolist(), strict=True)
    return ["" if empty else names[fifth] for fifth, empty in pairs]


def _strength(table: NDArray[np.int64]) -> float:
    """Cramér's V of a table (labels, values), corrected for bias."""
    count = table.sum()
    rows, columns = table.shape
    statistic = chi2_contingency(table, correction=False).statistic
    square = max(0.0, statistic / count - (rows - 1) * (columns - 1) / (count - 1))
    smaller = min(k - (k - 1) ** 2 / (count - 1) for k in (rows, columns))
    return float(np.sqrt(square / (smaller - 1)))


def _p(table: NDArray[np.int64], expected: NDArray[np.float64]) -> float:
    """Return the probability of an association as strong by chance."""
    if expected.min() >= 1 and (expected < 5).mean() <= 0.2:  # Cochran's rule
        return float(chi2_contingency(table, correction=False).pvalue)
    draws = random_table(table.sum(1), table.sum(0)).rvs(DRAWS, random_state=0)
    square = ((draws - expected) ** 2 / expected).sum((1, 2))
    reached = np.count_nonzero(square >= ((table - expected) ** 2 / expected).sum() - 1e-9)
    return (1 + reached) / (1 + DRAWS)
