"""Every figure in the docs is the figure of a JSON file that a committed command writes.

A marker before a paragraph, list or table names the files and the entries:

    <!-- figures: bench/results/serve.json [lesions a second] [ratio] -->

An entry is a number of the file; its text is made of the strings beside it and of its key, for
example "resnet18, 224 px / lesions a second, of the predictor alone / ratio". All texts in brackets
must occur in it. In a table, `row` and `column` demand the label of the row and of the column too.
A minus sign in place of the file, with a reason, is for figures that are not measurements. Checked
are decimal figures with two or more digits after the point, without code and links.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("README*.md"), ROOT / "paper/README.md"])
MARKER = re.compile(r"<!-- figures: (\S+)(.*?) -->")
NOT_MEASURED = "-"  # in place of a file, followed by the reason: definitions, thresholds, citations
FIGURE = re.compile(r"(?<![\w.])[+-]?\d*\.\d{2,}(?![\w.]*\d*\.\d)(?!\w)(?: %)?")


class Entry(NamedTuple):
    """A number of a JSON file with the text that identifies it."""

    text: str
    number: float


class Figure(NamedTuple):
    """A figure of a page with its labels in a table."""

    text: str
    row: str
    column: str


def words(text: str) -> str:
    """Letters and digits in lower case, other characters as single spaces."""
    return " " + re.sub(r"[^a-z0-9.]+", " ", text.lower()).strip() + " "


def entries(value: Any, path: str = "") -> Iterator[Entry]:
    """All numbers of a JSON value."""
    if isinstance(value, dict):
        names = [item for item in value.values() if isinstance(item, str)]
        for key, item in value.items():
            yield from entries(item, " / ".join([path, *names, key]))
    elif isinstance(value, list):
        for item in value:
            yield from entries(item, path)
    elif isinstance(value, str):  # a message
        yield from (
            Entry(words(path), float(text.removesuffix(" %"))) for text in FIGURE.findall(value)
        )
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield Entry(words(path), value)


def figures(block: str) -> Iterator[Figure]:
    """All figures of a paragraph, list or table."""
    block = re.sub(r"\]\([^)]*\)", "]", block)
    if not block.startswith("|"):
        for text in FIGURE.findall(re.sub(r"`[^`]*`", "", block)):
            yield Figure(text, "", "")
        return
    head, _, *rows = (line.strip()[1:-1].split("|") for line in block.splitlines())
    for cells in rows:
        for column, cell in zip(head[1:], cells[1:], strict=False):
            for text in FIGURE.findall(cell):
                yield Figure(text, cells[0].strip(), column.strip())


def blocks(page: str) -> Iterator[tuple[list[tuple[str, str]], str]]:
    """Paragraphs, lists and tables without code, each with its markers."""
    markers: list[tuple[str, str]] = []
    for block in re.split(r"\n\s*\n", re.sub(r"^```.*?^```", "", page, flags=re.S | re.M)):
        markers += MARKER.findall(block)
        if text := MARKER.sub("", block).strip():
            yield markers, text
            markers = []


def matches(figure: Figure, file: str, conditions: str) -> bool:
    """Whether an entry that meets the conditions rounds to the figure."""
    if file == NOT_MEASURED:
        return True
    required = [words(text) for text in re.findall(r"\[(.*?)\]", conditions)]
    flags = set(re.sub(r"\[.*?\]", "", conditions).split())
    assert flags <= {"row", "column"}, f"unknown: {flags}"
    required += [words(getattr(figure, flag)) for flag in flags]
    text, _, percent = figure.text.partition(" ")
    scale = 0.01 if percent else 1.0
    value, half = scale * float(text), scale * 0.5 * 10.0 ** -len(text.split(".")[1])
    return any(
        abs(number - value) <= half * (1 + 1e-9)
        for entry in entries(json.loads((ROOT / file).read_text(encoding="utf-8")))
        if all(condition in entry.text for condition in required)
        for number in (entry.number, *(() if figure.text[0] in "+-" else (-entry.number,)))
    )


def problems(page: str) -> list[str]:
    """Figures of a page without a marker, or not in the entries that the markers name."""
    unsupported = []
    for markers, block in blocks(page):
        for figure in figures(block):
            where = " / ".join(filter(str.strip, (figure.row, figure.column))) or block[:60]
            if not markers:
                unsupported.append(f"{figure.text} has no marker: {where}")
            elif not any(matches(figure, *marker) for marker in markers):
                files = ", ".join(file + conditions for file, conditions in markers)
                unsupported.append(f"{figure.text} is not in {files}: {where}")
    return unsupported


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_figure_is_in_its_json(path: Path) -> None:
    assert problems(path.read_text(encoding="utf-8")) == []


MADE = "paper/results/comparison/test.json"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Accuracy 0.654.", "no marker"),
        (f"<!-- figures: {MADE} [AGFnet] [accuracy] -->\n\nAccuracy 0.655.", "0.655 is not in"),
        (f"<!-- figures: {MADE} [mmtm] -->\n\nAccuracy 0.654.", "0.654 is not in"),
        (f"<!-- figures: {MADE} row -->\n\n| a | b |\n|---|---|\n| mmtm | 0.654 |", "mmtm / b"),
    ],
)
def test_a_wrong_figure_is_reported(text: str, problem: str) -> None:
    (message,) = problems(text)
    assert problem in message


@pytest.mark.parametrize(
    "text",
    [
        "Accuracy 0.6 and 40 %, `0.654`, [x](0.654.md), version 0.1.22.",
        f"<!-- figures: {MADE} [AGFnet] [accuracy] [value] -->\n\nAccuracy 0.654.",
        f"<!-- figures: {MADE} row column -->\n\n| a | accuracy |\n|---|---|\n| AGFnet | 0.654 |",
    ],
)
def test_a_right_figure_is_accepted(text: str) -> None:
    assert problems(text) == []
