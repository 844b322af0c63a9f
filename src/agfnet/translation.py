"""Words in English and Chinese.

The web page and the server share words by a key (`words`), since no script contains English
text. Reports and model cards are written in English in the code, and other languages are looked
up by the English text (`t`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Literal, get_args

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
WORDS = Path(__file__).with_name("words")
"""Folder with the words of the web page and of answers, one JSON file per language (`en.json`), and
with the translations of reports and cards (`report.zh.json`) and of the problems of image files
(`files.zh.json`) and of batches (`batch.zh.json`)."""
_LOCATION = re.compile(r"(?P<file>.+?)(:(?P<row>\d+))?( column (?P<column>.+?))?: (?P<problem>.+)")
"""Of a problem of a table, as `agfnet.data.problems` writes it."""
_current: ContextVar[tuple[Language, Mapping[str, str]]] = ContextVar(
    "language", default=("en", {})
)


@contextmanager
def in_language(language: Language, names: Mapping[str, str] | None = None) -> Iterator[None]:
    """Write texts in a language.

    Args:
        language: of the texts.
        names: display names of classes and modalities in this language.
    """
    token = _current.set((language, names or {}))
    try:
        yield
    finally:
        _current.reset(token)


def current_language() -> Language:
    """Return the language of the texts."""
    return _current.get()[0]


def t(text: str, /, **values: object) -> str:
    """Return a text in the current language, with the values put into its fields.

    Args:
        text: English text with fields such as `{count}`, the key of the translation.
        **values: of the fields.
    """
    return translations(current_language()).get(text, text).format(**values)


def display_name(name: str) -> str:
    """Return the display name of a class or modality in the current language."""
    return _current.get()[1].get(name, name)


def listed(names: Iterable[str]) -> str:
    """Join display names of classes or modalities in the current language."""
    joint = ", " if current_language() == "en" else "\N{IDEOGRAPHIC COMMA}"
    return joint.join(map(display_name, names))


def translate_filled(text: str) -> str:
    """Translate a text whose fields are filled in already, such as a warning in a file of a run.

    The English text of its translation has numbered fields, as in `{0} lesions`.
    """
    language = current_language()
    if language == "en" or (match := _match(text, f"report.{language}.json")) is None:
        return text
    translated, fields = match
    values = (field.split(" and ") for field in fields)
    return translated.format(*(t(" and ").join(map(display_name, v)) for v in values))


def file_problem(text: str, language: Language) -> str | None:
    """Write the problem of an image file as a sentence in a language.

    Args:
        text: message of an `ImageError`, which continues a sentence that begins with the file.
        language: of the sentence.

    Returns:
        None if the message has no translation.
    """
    sentence, separator = (words(language)[key] for key in ("file.problem", "separator"))
    if language == "en":
        return sentence.format(problem=text)
    file = f"files.{language}.json"
    if (match := _match(text, file)) is None:
        return None
    translated, fields = match
    names = (_read(file).get(field, field) for field in fields)
    problem = translated.format(*(name.replace(", ", separator) for name in names))
    # a field has spaces around it for names in Latin letters
    return sentence.format(problem=re.sub(r"(?<=[一-鿿]) (?=[一-鿿])", "", problem))


def in_all_languages(write: Callable[[Language], str | None]) -> dict[str, str]:
    """Return a text in each language in which it can be written.

    Args:
        write: returns the text in a language, or None.
    """
    texts = {language: write(language) for language in LANGUAGES}
    return {language: text for language, text in texts.items() if text is not None}


def batch_problems(text: str, language: Language) -> str | None:
    """Translate the problems of a batch, one per line.

    Args:
        text: message of a `DataError`, with lines `FILE:ROW column COLUMN: problem`, or of a zip
            archive.
        language: of the lines.

    Returns:
        None if there is nothing to translate, or a line has no translation.
    """
    if language == "en" or not text:
        return None
    lines = [_batch_problem(line, language) for line in text.splitlines()]
    return None if None in lines else "\n".join(filter(None, lines))


def _batch_problem(line: str, language: Language) -> str | None:
    """Translate a problem, which may begin with its row and column in a table."""
    match = _LOCATION.fullmatch(line)
    problem = _filled(match["problem"], language) if match else None
    if match is None or problem is None:
        return _filled(line, language)
    places = (f"{part} {match[part]}" for part in ("row", "column") if match[part])
    location = "".join(_filled(text, language) or text for text in places)
    return match["file"] + location + words(language)["colon"] + problem


def _filled(text: str, language: Language) -> str | None:
    """Translate a problem of a batch and its fields, as far as these are texts themselves."""
    if (match := _match(text, f"batch.{language}.json")) is None:
        return None
    translated, fields = match
    return translated.format(*(_filled(field, language) or field for field in fields))


def _match(text: str, file: str) -> tuple[str, tuple[str, ...]] | None:
    """Return the translation of a text in a file of words, and the text's fields."""
    for pattern, translated in _patterns(file):
        if match := pattern.fullmatch(text):
            return translated, match.groups()
    return None


@cache
def _patterns(file: str) -> list[tuple[re.Pattern[str], str]]:
    fixed = {text: len(re.sub(r"\{\d\}", "", text)) for text in _read(file)}
    return [  # a text may also fit that of another with more fields or longer values
        (re.compile(re.sub(r"\\\{\d\\\}", "(.+?)", re.escape(text))), _read(file)[text])
        for text in sorted(fixed, key=lambda text: -fixed[text])
    ]


def joined(sentences: Iterable[str]) -> str:
    """Join sentences; Chinese has no space between them."""
    return (" " if current_language() == "en" else "").join(sentences)


def translations(language: Language) -> dict[str, str]:
    """Return the translations of the texts; none for English."""
    if language == "en":
        return {}
    return _read(f"report.{language}.json")


def words(language: Language = "en") -> dict[str, str]:
    """Return the words of a language by key; `{name}` is a field to fill in."""
    return _read(f"{language}.json")


@cache
def _read(name: str) -> dict[str, str]:
    texts: dict[str, str] = json.loads((WORDS / name).read_text(encoding="utf-8"))
    return texts
