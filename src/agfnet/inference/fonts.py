"""Fonts for labels in any script: the plotting library's default has no Chinese, for example."""

from __future__ import annotations

from pathlib import Path
from typing import Any

DEFAULT = "DejaVu Sans"
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
        fonts = {font.name: font.fname for font in font_manager.fontManager.ttflist}
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


def letters_of(font: Any) -> set[str]:
    """Return the letters that a font can draw."""
    return {chr(code) for code in font.get_charmap()}


def _rank(name: str) -> tuple[bool, str]:
    return not any(part in name for part in PREFERRED), name
