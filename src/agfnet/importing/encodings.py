"""The encoding of a text file: Unicode, or the one in which its letters are the usual ones.

Excel and older programs write CSV in the encoding of their country, without saying which.
"""

from __future__ import annotations

from agfnet.data.file_types import SAVE_AS
from agfnet.data.text_check import encoding_by_mark, utf16_without_mark
from agfnet.errors import DataError

_LETTERS = dict.fromkeys("äöüßéèáíóúçñãõàêÄÖÜÉÁÍÓÚÇÑ", 1.0) | dict.fromkeys(
    "ëâåìîïòôøùûœæÈÊÀÂÃÅÔØÕÆ", 0.9
)
_SIGNS = set("°µ²³§±€ºª„…\u2013\u2014\u2019\u201c\u201d\u00d7\u00a0")
_WESTERN = ("cp1252", "mac_roman", "cp850")
_EASTERN = ("gb18030", "big5", "cp932")
_FREQUENT = {
    **dict.fromkeys(("cp1251", "koi8_r", "cp866"), "оеаинтсрвлкмдпуяы"),
    "cp1253": "αοιεστνηυρπκμλωςάόίέ",
}
"""Letters that are most of every Cyrillic or Greek text, by encoding."""
MIN_HANGUL = 8
"""Different letters from which a text of Korean letters alone is not taken for Chinese."""
LIKELY = 0.8
"""Fraction of the letters beyond ASCII that are usual ones, above which an encoding is right."""


def decode(content: bytes, where: str) -> tuple[str, str]:
    """Return the text of a file and the name of its encoding, with a doubt about it.

    Args:
        content: of the file.
        where: the file, for messages.

    Raises:
        DataError: it is no text, or lines have different encodings.
    """
    if encoding := encoding_by_mark(content) or utf16_without_mark(content):
        options = [encoding]
    elif (nul := content.find(b"\0")) >= 0:
        line = content.count(b"\n", 0, nul) + 1
        raise DataError(
            f"{where}:{line}: contains a NUL byte, so it is damaged or not text; {SAVE_AS}"
        )
    else:
        options = ["utf-8-sig"]
        if _decoded(content, "utf-8-sig") is None:
            _check_lines(content, where)
            options = _ranked(content)
    doubt = ", a guess: letters may be wrong; save it as CSV UTF-8" if len(options) > 1 else ""
    for encoding in options:
        text = _decoded(content, encoding)
        if text is not None and "\0" not in text:
            return text, encoding.removesuffix("-sig").upper() + doubt
    raise DataError(f"{where}: is damaged or not text; {SAVE_AS}")


def _decoded(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return None


def _check_lines(content: bytes, where: str) -> None:
    """Raise an error if most lines with letters beyond ASCII are UTF-8, and some are not."""
    lines = [(n, line) for n, line in enumerate(content.split(b"\n"), 1) if not line.isascii()]
    others = [number for number, line in lines if _decoded(line, "utf-8") is None]
    if 2 * len(others) <= len(lines):
        raise DataError(
            f"{where}:{others[0]}: is not UTF-8 as other lines are, so letters of one or the other "
            "would be wrong; save each part as CSV UTF-8 before joining them"
        )


def _ranked(content: bytes) -> list[str]:
    western = {name: _western(_decoded(content, name) or "") for name in _WESTERN}
    eastern = {name: _eastern(content, name) for name in _EASTERN}
    if western["cp1252"] >= LIKELY:
        return ["cp1252"]
    likely = {name: score for name, score in western.items() if score >= LIKELY}
    likely |= {name: score for name, score in eastern.items() if score >= 0.6}
    alphabets = {name: _frequent(content, name) for name in _FREQUENT}
    likely |= {name: score for name, score in alphabets.items() if score >= LIKELY}
    hangul = {c for c in _decoded(content, "euc_kr") or "" if not c.isascii()}
    if len(hangul) >= MIN_HANGUL and all("\uac00" <= c <= "\ud7a3" for c in hangul):
        return ["cp949"]
    return [max(likely, key=lambda name: likely[name])] if likely else ["gb18030", "cp1252"]


def _western(text: str) -> float:
    """Return the fraction of letters beyond ASCII that are usual, and at a usual position."""
    points = []
    for before, letter, after in zip(f" {text}", text, f"{text[1:]} ", strict=False):
        if letter.isascii():
            continue
        inside = before.isalpha() and after.isalpha()
        if inside and not before.isascii() and not after.isascii():
            points.append(0.0)  # of another alphabet, which has all its letters beyond ASCII
        elif letter in _SIGNS:
            points.append(0.0 if inside and letter not in "\u2019\u2013" else 1.0)
        else:
            odd = letter.isupper() and before.islower()
            points.append(0.0 if odd else _LETTERS.get(letter, 0.0))
    return sum(points) / max(1, len(points))


def _eastern(content: bytes, encoding: str) -> float:
    """Return the fraction of letters beyond ASCII that are frequent ones of an encoding."""
    text = _decoded(content, encoding)
    letters = [c for c in text or "" if not c.isascii()]
    return sum(_is_frequent(letter, encoding) for letter in letters) / max(1, len(letters))


def _frequent(content: bytes, encoding: str) -> float:
    """Return the fraction of letters beyond ASCII that are frequent ones of an alphabet.

    A capital after a small letter is none: KOI8 and Windows have them the other way round.
    """
    text = _decoded(content, encoding) or ""
    points = [
        letter.lower() in _FREQUENT[encoding] and not (letter.isupper() and before.islower())
        for before, letter in zip(f" {text}", text, strict=False)
        if not letter.isascii()
    ]
    return sum(points) / max(1, len(points))


def _is_frequent(letter: str, encoding: str) -> bool:
    """Return whether a character is a frequent one; the first half of each standard has them."""
    if "\u3000" <= letter <= "\u303f" or "\uff01" <= letter <= "\uff5e":
        return True
    if encoding == "cp932" and "\u3040" <= letter <= "\u30ff":
        return True
    first, last = {"gb18030": (0xB0, 0xD7), "big5": (0xA4, 0xC6), "cp932": (0x88, 0x97)}[encoding]
    standard = "gb2312" if encoding == "gb18030" else encoding
    lead = letter.encode(standard, "ignore")[:1] if "\u4e00" <= letter <= "\u9fff" else b""
    return bool(lead) and first <= lead[0] <= last
