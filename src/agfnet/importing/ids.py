"""Spellings of ids: their words, what all spellings share, and the parts of a name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from agfnet.importing.dates import date_keys

MAX_WIDTH = 5
"""Words of one id."""


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
