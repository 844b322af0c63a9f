"""Labels that are codes of another sheet, and labels that are none: ids or names of patients."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from agfnet.data.problems import listed_words
from agfnet.data.spelling import is_damaged, is_placeholder, usual_spellings
from agfnet.diagnoses import doubtful_labels, is_code, one_diagnosis
from agfnet.importing.header import Table
from agfnet.importing.sheets import Sheet

YES = {
    *("1", "1.0", "true", "yes", "y", "ja", "j", "oui", "si", "sí", "s", "sim", "x", "+", "wahr"),
    *("vrai", "verdadero", "✓", "✔", "☑", "√", "是", "有", "阳性", "はい", "有り", "○", "●"),
}
NO = {
    *("", "0", "0.0", "false", "no", "n", "nein", "non", "não", "nao", "-", "falsch", "faux"),
    *("falso", "☐", "否", "无", "無", "阴性", "いいえ", "無し"),
}
"""Cells that say that something applies, or not, in lower case."""


def key_of_labels(sheets: Sequence[Sheet], table: Table, column: str) -> dict[str, str]:
    """Return code to name of the labels, from another sheet that lists them; or nothing."""
    codes = set(table.values(column))
    if not codes or any(len(code) > 6 for code in codes):
        return {}
    for sheet in sheets:
        if sheet.name in (table.sheets or (table.sheet,)):
            continue
        width = max(len(cells) for _, cells in sheet.rows)
        for first in range(width):
            for second in range(width):
                pairs = [
                    (cells[first], cells[second])
                    for _, cells in sheet.rows
                    if max(first, second) < len(cells) and cells[first] and cells[second]
                ]
                names = dict(reversed(pairs))
                if len(names) < len(set(pairs)):  # a code has several names: it is no list of codes
                    continue
                if first != second and codes <= names.keys() and len(pairs) <= len(codes) + 30:
                    texts = {names[code] for code in codes}
                    if len(texts) == len(codes) and not any(text.isdigit() for text in texts):
                        return {code: names[code] for code in codes}
    return {}


def is_yes_or_no(text: str) -> bool:
    """Return whether a cell says yes or no, in a word or a sign."""
    return text.casefold() in YES | NO


def label_notes(labels: Mapping[str, int]) -> list[str]:
    """Return notes about labels that may need another class.

    Args:
        labels: number of lesions by label.
    """
    names = [*doubtful_labels(labels), *filter(is_damaged, labels), *filter(is_placeholder, labels)]
    doubtful = [f"{name!r} ({labels[name]})" for name in dict.fromkeys(names)]
    notes = [
        f"labels that are no single certain diagnosis: {listed_words(doubtful)}; each becomes a "
        "class unless you change the cells, or name the classes in data.labels"
    ]
    return notes * bool(doubtful) + [
        f"the labels {' and '.join(map(repr, names))} are names of one diagnosis, {title}; "
        "write one of them"
        for title, names in one_diagnosis(usual_spellings(labels).values()).items()
    ]


def looks_like_ids(labels: Sequence[str]) -> str:
    """Return why the labels of lesions look like names or ids of patients; or empty.

    Args:
        labels: one for each lesion.
    """
    names = sorted(set(labels))
    if len(names) < 2:
        return ""
    words = r"(?i)(?:patient|pat|pt|subject|proband|case|fall|paciente|患者|病人)[ _.-]*\d+.*"
    person = r"[^\W\d_]{2,}(?:, ?|\^)[^\W\d_]{2,}.*|(?:Mr|Mrs|Ms|Herr|Frau|Mme)[._ ].*"
    code = r"[^\W\d_]{0,6}[ _.-]?(?:0\d+|\d{3,}|\d+[-/._ ]\d{3,})(?:[ _-].*)?"
    for pattern, reason in (
        (words, "are numbered patients"),
        (person, "look like names of persons"),
        (code, "look like ids"),
    ):
        matching = [n for n in names if re.fullmatch(pattern, n) and not is_code(n)]
        if 2 * len(matching) > len(names):
            return reason
    if len(names) > 12 and len(labels) < 2 * len(names) and not any(map(_names_diagnosis, names)):
        return f"are {len(names)} different ones for {len(labels)} lesions"
    return ""


def _names_diagnosis(label: str) -> bool:
    words = (
        r"melan|n(a?e|e)v|bcc|scc|carcin|karzin|kerat|fibrom|angiom|nevo|痣|瘤|癌|cyst|zyst|wart"
    )
    return re.search(words, label, re.IGNORECASE) is not None
