"""Rows of a table that are no lesions: comments, and units below the header."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agfnet.data.spelling import is_error, is_placeholder

_UNITS = {
    *("mm", "cm", "m", "µm", "um", "nm", "mm2", "cm2", "mm²", "cm²", "mm³", "g", "kg", "%", "°"),
    *("mhz", "khz", "hz", "db", "dpi", "px", "pixel", "pixels", "mm/px", "µm/px"),
    *("years", "year", "yrs", "yr", "y", "a", "months", "month", "weeks", "days", "hours", "min"),
    *("jahre", "jahr", "j", "monate", "tage", "anni", "años", "anos", "ans", "mois", "jours"),
    *("岁", "年", "月", "天", "毫米", "厘米", "个月", "歳", "像素"),
    *("text", "string", "str", "char", "varchar", "int", "integer", "float", "double", "numeric"),
    *("number", "date", "datetime", "bool", "boolean", "binary", "categorical", "category"),
    *("code", "id", "no", "nr", "path", "file", "filename", "file name", "yes/no", "y/n", "0/1"),
    *(
        "ja/nein",
        "j/n",
        "是/否",
        "文本",
        "数字",
        "日期",
        "字符串",
        "整数",
        "zahl",
        "datum",
        "datei",
    ),
    *("dd.mm.yyyy", "dd/mm/yyyy", "mm/dd/yyyy", "yyyy-mm-dd", "tt.mm.jjjj", "unit", "units"),
    *("einheit", "单位", "単位"),
}
"""Units and types of values as a row below the header states them, in small letters."""
_UNITS_AROUND = "()[]{}<>\uff08\uff09\u3010\u3011 ."
_COMMENT = re.compile(r"#+\s+.*[^\W\d]{2,}.*|#+\D*")
_FILE = re.compile(r"\.[A-Za-z]{2,5}(#\d+)?$")


def is_comment(cells: Sequence[str]) -> bool:
    """Return whether a row is a comment: `# exported in May`, also where it holds a separator.

    An id may begin with the same sign (`#12`), so that a row is none if another cell names a file.
    """
    return (
        _COMMENT.fullmatch(cells[0]) is not None
        and not is_error(cells[0])
        and not any(map(_FILE.search, cells))
    )


def are_units(cells: Sequence[str]) -> bool:
    """Return whether a row below the header holds nothing but units or types of values."""
    texts = [cell.casefold().strip(_UNITS_AROUND) for cell in cells]
    words = [text for text in texts if text and not is_placeholder(text)]
    return bool(words) and all(text in _UNITS for text in words)


def extra_row(cells: Sequence[str], *, below_header: bool) -> str:
    """Return what a row is that is no lesion; or empty."""
    if is_comment(cells):
        return "is a comment"
    return "holds units" if below_header and are_units(cells) else ""
