"""README and its translation: the same commands and figures; commands that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from agfnet import __version__
from agfnet.cli import COMMANDS, build_parser
from agfnet.cli.arguments import current_arguments

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh.md").read_text(encoding="utf-8")
PLACES = [ROOT / "README.md", ROOT / "README.zh.md", ROOT / "docs" / "api.md"]


def code(page: str) -> list[str]:
    """Lines of code blocks without comments."""
    blocks = re.findall(r"^```\w+\n(.*?)^```", page, flags=re.S | re.M)
    lines = [re.sub(r"\s+# .*", "", line) for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.strip()]


def figures(page: str) -> list[str]:
    """Figures of tables and prose, in order."""
    prose = re.sub(r"^```.*?^```|\]\([^)]*\)|<!--.*?-->", "", page, flags=re.S | re.M)
    return re.findall(r"[+-]?\d+(?:[.,]\d+)*", prose)


def test_the_translation_has_the_same_commands_and_figures() -> None:
    assert code(CHINESE) == code(README)
    assert sorted(figures(CHINESE)) == sorted(figures(README))


def test_the_translation_has_the_same_links() -> None:
    links = [
        sorted(set(re.findall(r"\]\(([^)]+)\)", page)) - {"README.md", "README.zh.md"})
        for page in (README, CHINESE)
    ]
    assert links[0] == links[1]


def test_links_lead_to_files() -> None:
    for path in PLACES:
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8")):
            assert "://" in link or (path.parent / link).exists(), f"{path.name}: {link}"


COMMAND_LINES = [line for line in code(README) if line.startswith("agfnet ")]


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_commands_of_the_readme_are_understood(line: str) -> None:
    _, name, *rest = shlex.split(line)
    assert name in COMMANDS
    parsed = build_parser([name]).parse_args(current_arguments([name, *rest]))
    assert parsed.command == name


def test_every_place_has_the_same_version() -> None:
    assert f"version: {__version__}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    for page in (README, CHINESE):
        assert f"version = {{{__version__}}}" in page
