"""Dates of visits in the orders and languages of hospitals, as year, month and day.

`3/4/2023` is a day in April in most countries and in March in others. Which, the other dates say (a
number above 12 is a day), or else the dates of the files; where neither does, it is an error.
"""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from agfnet.errors import DataError

EPOCH = datetime.date(1899, 12, 30)
"""Day 0 of dates in spreadsheets."""
_MONTHS = {
    **dict.fromkeys(("jan", "ene"), 1),
    **dict.fromkeys(("feb", "fev"), 2),
    **dict.fromkeys(("mar", "mrz", "mae"), 3),
    **dict.fromkeys(("apr", "avr", "abr"), 4),
    **dict.fromkeys(("may", "mai"), 5),
    **dict.fromkeys(("jun", "juin"), 6),
    **dict.fromkeys(("jul", "juil"), 7),
    **dict.fromkeys(("aug", "aou", "ago"), 8),
    **dict.fromkeys(("sep", "set"), 9),
    **dict.fromkeys(("oct", "okt", "out"), 10),
    **dict.fromkeys(("nov",), 11),
    **dict.fromkeys(("dec", "dez", "dic"), 12),
}
_OTHER_WORDS = {"de", "del", "of", "th", "st", "nd", "rd", "年", "月", "日"}
_TIME = re.compile(r"(?:[T ]|, ?)\d{1,2}:\d\d.*$|T\d{4,6}.*$")


@dataclass(frozen=True)
class Visits:
    """Dates of a column, as they were read."""

    dates: Mapping[str, str]
    """Text to `yyyy-mm-dd`; texts that are no dates are left out."""
    american: bool = False
    """The month comes before the day."""
    note: str = ""


def read_visits(texts: Collection[str], dates_of_files: Collection[str], where: str) -> Visits:
    """Read the dates of a column.

    Args:
        texts: of the cells.
        dates_of_files: `y-m-d` of dates with the year first, in paths and DICOM attributes.
        where: file and column, for messages.

    Raises:
        DataError: the order of day and month is contradictory, or nothing tells it.
    """
    texts = list(dict.fromkeys(text for text in texts if text))
    american = _american(texts)
    note = ""
    unclear = [text for text in texts if _is_unclear(text)]
    if american is None and unclear:
        options = {order: date_keys(unclear, american=order) for order in (False, True)}
        hits = {order: len({*each.values()} & {*dates_of_files}) for order, each in options.items()}
        if hits[True] == hits[False] > 0:
            raise DataError(
                f"{where}: {unclear[0]!r} may be day/month or month/day, and files fit both; write "
                "the dates as yyyy-mm-dd"
            )
        american = hits[True] > hits[False]
        order = "month/day/year" if american else "day/month/year"
        reason = (
            "because files have these dates" if any(hits.values()) else "which nothing confirms"
        )
        note = f"dates such as {unclear[0]} are read as {order}, {reason}"
    elif unclear and _contradictory(texts):
        raise DataError(
            f"{where}: some dates have the day first and some the month, so {unclear[0]!r} may be "
            "either; write the dates as yyyy-mm-dd"
        )
    keys = date_keys(texts, american=bool(american))
    return Visits({text: _iso(date) for text, date in keys.items()}, bool(american), note)


def dates_in(text: str) -> set[str]:
    """Return the dates with the year first in a path or an attribute, as y-m-d."""
    matches = re.findall(r"(?<!\d)((?:19|20)\d\d)([-_. ]?)(\d\d?)\2(\d\d?)(?!\d)", text)
    return {
        date
        for year, separator, month, day in matches
        if separator or len(month + day) == 4
        for date in date_keys([f"{year}-{month}-{day}"]).values()
    }


def date_keys(texts: Sequence[str], *, american: bool | None = None) -> dict[str, str]:
    """Return the keys of dates such as 2024-05-31, 31.05.2024, 31 May 2024 or 20240531, as y-m-d.

    If all texts are numbers such as 45000, they are days as spreadsheets count them. Other texts
    are left out.

    Args:
        texts: of cells or names.
        american: whether the month comes before the day where both are possible; if None, it does
            if a second number above 12 occurs.
    """
    if texts and all(re.fullmatch(r"[2-6]\d{4}", text) for text in texts if text):
        days = {text: EPOCH + datetime.timedelta(int(text)) for text in texts if text}
        return {text: f"{date.year}-{date.month}-{date.day}" for text, date in days.items()}
    if american is None:
        american = bool(_american(texts))
    keys = {}
    for text in texts:
        if (parts := _parts(text)) is None:
            continue
        year, first, second = parts
        ordered = len(_words(text)[0]) == 4 or not _is_numeric(text)  # the month is known
        month, day = (first, second) if ordered or american else (second, first)
        if not ordered and max(first, second) > 12:
            month, day = (first, second) if second > 12 else (second, first)
        try:
            date = datetime.date(year, month, day)
        except ValueError:
            continue
        keys[text] = f"{date.year}-{date.month}-{date.day}"
    return keys


def _iso(date: str) -> str:
    year, month, day = map(int, date.split("-"))
    return f"{year:04}-{month:02}-{day:02}"


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", _TIME.sub("", text.strip())).casefold()
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    words = re.findall(r"\d+|[^\W\d_]+", plain)
    if len(words) == 1 and len(words[0]) == 8 and words[0].isdecimal():
        words = [words[0][:4], words[0][4:6], words[0][6:]]
    return [word for word in words if word not in _OTHER_WORDS]


def _is_numeric(text: str) -> bool:
    return all(word.isdecimal() for word in _words(text))


def _parts(text: str) -> tuple[int, int, int] | None:
    """Return the year and the two other numbers; the month first if its name or order tells it."""
    words = _words(text)
    if len(words) != 3:
        return None
    names = [number for number, word in enumerate(words) if not word.isdecimal()]
    if names:
        word = words.pop(names[0])
        month = _MONTHS.get(word[:4]) or _MONTHS.get(word[:3])
        if len(names) > 1 or month is None:
            return None
        day, year = sorted(words, key=len)
        words = [year, str(month), day]
    elif len(words[0]) != 4:
        words = [words[2], words[0], words[1]]
    if len(words[0]) not in (2, 4) or max(len(words[1]), len(words[2])) > 2:
        return None
    numbers = [int(word) for word in words]
    return numbers[0] + 2000 * (numbers[0] < 100), numbers[1], numbers[2]


def _has_order(text: str) -> bool:
    """Return whether a text is a date of numbers with the year last."""
    return _parts(text) is not None and _is_numeric(text) and len(_words(text)[0]) != 4


def _is_unclear(text: str) -> bool:
    """Return whether day and month of a date may be exchanged; with points, the day is first."""
    _, first, second = _parts(text) or (0, 0, 0)
    return _has_order(text) and "." not in text and first != second and max(first, second) <= 12


def _american(texts: Collection[str]) -> bool | None:
    """Return whether some date has its month first; None if no date tells."""
    ordered = [part for text in texts if _has_order(text) and (part := _parts(text))]
    if any(second > 12 for _, _, second in ordered):
        return True
    return False if any(first > 12 for _, first, _ in ordered) else None


def _contradictory(texts: Collection[str]) -> bool:
    ordered = [p for t in texts if _has_order(t) and "." not in t and (p := _parts(t))]
    return any(p[1] > 12 for p in ordered) and any(p[2] > 12 for p in ordered)
