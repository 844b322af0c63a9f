"""Fonts for labels in any script: the plotting library's default has no Chinese, for example."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

DEFAULT = "DejaVu Sans"
LAST_RESORT = "Last Resort"
"""Fonts with a box for every letter, which come with the plotting library."""
PREFERRED = ("CJK", "Han", "YaHei", "SimHei", "PingFang", "Hei", "Gothic", "Noto", "Unicode")
"""Parts of names of fonts with many letters, which are tried first."""


def font_families(text: str) -> tuple[list[str], str]:
    """Find installed fonts that together have every letter of a text.

    Args:
        text: all labels of a figure.

    Returns:
        Names of font families, the default first, as matplotlib's `font.family` takes them; and
        the letters that no installed font has.
    """
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    missing = {letter for letter in text if not letter.isspace() and letter.isprintable()}
    missing -= letters_of(FT2Font(font_manager.findfont(DEFAULT)))
    families = [DEFAULT]
    if missing:
        manager = font_manager.fontManager
        # matplotlib stores its list of fonts: it lacks those that were installed since
        for path in set(font_manager.findSystemFonts()) - {font.fname for font in manager.ttflist}:
            with suppress(OSError, RuntimeError):
                manager.addfont(path)
        fonts = {f.name: f.fname for f in manager.ttflist if not f.name.startswith(LAST_RESORT)}
        for name in sorted(fonts, key=_rank):
            if not missing:
                break
            try:
                letters = letters_of(FT2Font(fonts[name])) if Path(fonts[name]).exists() else set()
            except RuntimeError:  # a font file that cannot be read
                continue
            if missing & letters:
                families.append(name)
                missing -= letters
    return families, "".join(sorted(missing))


def set_families(figure: Any) -> str:
    """Let all texts of a figure have fonts with their letters; return those that no font has."""
    from matplotlib.text import Text

    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    letters = {letter for text in texts for letter in text.get_text()}
    families, missing = _cached_families("".join(sorted(letters)))
    for text in texts:
        text.set_fontfamily(families)
    return missing


@cache
def _cached_families(letters: str) -> tuple[list[str], str]:
    return font_families(letters)  # looks through all fonts, and many figures have one text


def letters_of(font: Any) -> set[str]:
    """Return the letters that a font can draw."""
    return {chr(code) for code in font.get_charmap()}


def _rank(name: str) -> tuple[bool, str]:
    return not any(part in name for part in PREFERRED), name
