"""A page as data: sections of blocks, which the templates turn into HTML.

Every text is escaped. A page has no script and loads nothing from outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple

from agfnet.pages.render import render


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str
    style: Literal["", "lead", "soft"] = ""
    label: str = ""  # in bold, before the text


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Bullets:
    """A list."""

    kind: ClassVar[str] = "bullets"
    items: Sequence[str]


class KeyFigure(NamedTuple):
    """A number that most readers look for."""

    title: str
    value: str
    interval: str


@dataclass(frozen=True)
class KeyFigures:
    """Key figures in a row."""

    kind: ClassVar[str] = "key_figures"
    figures: Sequence[KeyFigure]


@dataclass(frozen=True)
class Table:
    """A table that scrolls sideways: a row header, then numbers, or words that may be broken.

    All lines of a cell after the first are shown small below it.
    """

    kind: ClassVar[str] = "table"
    label: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: bool = False
    even: bool = False  # columns of equal width, so that parts of a table line up
    marks: Mapping[tuple[int, int], str] = field(default_factory=dict)
    """Row and column of a cell to its style: best, better, worse."""


@dataclass(frozen=True)
class Figure:
    """An SVG drawing on a white card; a wide one scrolls on a phone."""

    kind: ClassVar[str] = "figure"
    svg: str
    caption: str
    wide: bool = False


@dataclass(frozen=True)
class Columns:
    """Figures in columns where the window is wide enough."""

    kind: ClassVar[str] = "columns"
    figures: Sequence[Figure]


class CardImage(NamedTuple):
    """An image of a card."""

    source: str  # data URI
    alternative: str
    caption: str


@dataclass(frozen=True)
class Card:
    """A lesion: images, lines, and classes with their probabilities as bars."""

    title: str
    images: Sequence[CardImage]
    lines: Sequence[str]
    bars: Sequence[tuple[str, str, float]] = field(default=())  # class, percentage, its number


@dataclass(frozen=True)
class Cards:
    """Lesions in a grid."""

    kind: ClassVar[str] = "cards"
    cards: Sequence[Card]


Block = Text | Heading | Bullets | KeyFigures | Table | Figure | Columns | Cards


@dataclass(frozen=True)
class Section:
    """A part of a page."""

    anchor: str  # unique, target of the link at the top
    heading: str
    blocks: Sequence[Block]


def page(title: str, lead: Iterable[Block], sections: Iterable[Section | None]) -> str:
    """Return a whole HTML document: the lead, links to the sections, and the sections."""
    return render(
        "page.html.jinja",
        title=title,
        lead=list(lead),
        sections=[section for section in sections if section is not None],
    )
