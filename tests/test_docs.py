"""Commands and links of the documentation; `make docs` and `make tutorials` run the tutorials."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from agfnet.cli import build_parser
from agfnet.cli.arguments import current_arguments

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if path.parent.name != "decisions")


def command_lines(page: str) -> list[str]:
    """Lines of a page that begin with `agfnet`, in blocks of commands."""
    blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```", page, flags=re.S | re.M)
    text = "\n".join(blocks).replace("\\\n", " ")
    lines = [re.sub(r"\s+# .*", "", line) for line in text.splitlines()]
    # `train --reproduce` reads the table from a run, which must be there
    return [line for line in lines if re.match("agfnet (?!train --reproduce)", line)]


LINES = [line for path in PAGES for line in command_lines(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("line", sorted(set(LINES)))
def test_commands_of_the_pages_are_understood(line: str) -> None:
    _, name, *rest = shlex.split(line)
    parsed = build_parser([name]).parse_args(current_arguments([name, *rest]))
    assert parsed.command == name


def test_there_are_commands() -> None:
    assert len(LINES) > 10


def test_the_notebook_has_no_outputs() -> None:
    book = json.loads((DOCS / "tutorials" / "notebook.ipynb").read_text(encoding="utf-8"))
    assert all(not cell.get("outputs") for cell in book["cells"])
    source = "\n".join("".join(cell["source"]) for cell in book["cells"])
    assert "Research use only, not a medical device." in source


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=lambda p: str(p.relative_to(DOCS)))
def test_links_lead_to_files(path: Path) -> None:
    text = re.sub(r"```.*?```|`[^`]*`", "", path.read_text(encoding="utf-8"), flags=re.S)
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        assert "://" in link or (path.parent / link).exists(), link


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    text = (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    elsewhere = {page for page in pages if re.match(r"decisions/\d|package\.md", page)}
    assert set(re.findall(r": (\S+\.md)$", text, flags=re.M)) == pages - elsewhere
