"""Spellings of ids and labels: two of one name, and words that stand for a missing value."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

INVISIBLE = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
"""Soft hyphen, zero-width characters and byte order mark."""
_PLACEHOLDERS = {
    *("na", "nan", "nat", "none", "null", "nil", "empty", "missing", "undefined"),
    *("unknown", "unk", "unkn", "notknown", "notavailable", "notapplicable", "unspecified"),
    *("notspecified", "notrecorded", "nodata", "tbd", "tba", "todo", "anonymous", "anonymized"),
    *("anonymised", "anon", "unbekannt", "keineangabe", "inconnu", "desconocido"),
    *("未知", "不详", "不明", "无", "未填", "匿名"),
}
_SPREADSHEET_ERROR = re.compile(r"#[a-z/0]+[!?]?")
_DASH = re.compile(r"[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]")
_DIGIT = re.compile("[0-9]")
_DECIMAL = re.compile(r"(-?\d+)[.,]0+")
_LEADING_ZEROS = re.compile(r"(?<![\d.,])0+(?=\d)")
_SEPARATOR = re.compile(r"(?<=[^\W\d_])[-_./]+|[-_./]+(?=[^\W\d_])")
_ROUNDED = re.compile(r"\d[.,]\d+e\+?\d+|\de\+\d+")


@lru_cache(maxsize=1 << 14)
def label_key(label: str) -> str:
    """Return what all spellings of a label share.

    Case, spaces, Unicode forms, invisible characters, the kind of dash, leading zeros and a
    decimal part of 0 make no difference: `Naevus` and `naevus `, `1` and `1.0`.
    """
    text = label
    if not text.isascii():
        text = unicodedata.normalize("NFKC", _DASH.sub("-", text))
        text = "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Cc"))
    text = "".join(text.split()).strip("'\"`").casefold()
    if match := _DECIMAL.fullmatch(text):
        text = match[1]
    return _LEADING_ZEROS.sub("", text)


def usual_spellings(labels: Iterable[str]) -> dict[str, str]:
    """Return each label and its most frequent spelling; the first one where they are as many.

    Args:
        labels: of all rows, or the number of rows by label.
    """
    usual: dict[str, str] = {}
    counts = Counter(labels)
    for label, _ in counts.most_common():
        usual.setdefault(label_key(label), label)
    return {label: usual[label_key(label)] for label in counts}


@lru_cache(maxsize=1 << 14)
def patient_key(patient: str) -> str:
    """Return what all spellings of a patient id share.

    As `label_key`, and separators next to a letter make no difference: `P-012` and `p12`. A
    separator between two digits counts, since `1-23` and `12-3` are two patients.
    """
    return _LEADING_ZEROS.sub("", _SEPARATOR.sub("", label_key(patient)))


@lru_cache(maxsize=1 << 14)
def is_placeholder(text: str) -> bool:
    """Return whether a cell holds a word for a missing value: `nan`, `unknown`, `?`, `#N/A`."""
    if text.isascii() and "#" not in text and _DIGIT.search(text):
        return False  # nearly all ids and paths: no such word has a digit
    key = label_key(text)
    word = re.sub(r"[\W_]", "", key)
    return bool(key) and (
        not word or word in _PLACEHOLDERS or _SPREADSHEET_ERROR.fullmatch(key) is not None
    )


def is_error(text: str) -> bool:
    """Return whether a cell holds an error of a spreadsheet program: `#N/A`, `#DIV/0!`."""
    return text.startswith("#") and _SPREADSHEET_ERROR.fullmatch(label_key(text)) is not None


def is_rounded(text: str) -> bool:
    """Return whether a spreadsheet has rounded a long number, as in `1.23457E+11`."""
    return _ROUNDED.fullmatch(text.strip().casefold()) is not None
