"""Language of the project: terms of the field, plain sentences, names that say what they hold."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = sorted(
    path for pattern in ("src/agfnet/**/*.py", "bench/*.py", "docs/**/*.py")
    for path in ROOT.glob(pattern)
)  # fmt: skip
PROSE = sorted(
    path
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "paper/*.md",
        "paper/*.yaml",
        "configs/*.yaml",
        "src/agfnet/**/*.js",
        "src/agfnet/**/*.html",
        "src/agfnet/**/*.jinja",
        "src/agfnet/words/*.json",
    )
    for path in ROOT.glob(pattern)
)

BANNED = {
    r"anew": "again",
    r"asker": "query",
    r"as there (is|are)": "available",
    r"bears?": "carries, tolerates",
    r"beside": "next to, with",
    r"but for": "except for",
    r"consult(s|ed|ing)?": "attend to",
    r"evidence maps?": "attribution map",
    r"has no say": "is ignored",
    r"mend(s|ed|ing)?": "fix, correct",
    r"of (its|their|one's|his) own": "own, separate",
    r"own query": "view query",
    r"peers?": "baseline",
    r"so many": "this many",
    r"stands? in": "is in, replaces",
    r"strange(r|rs)?": "out-of-distribution, unknown",
    r"(tell|tells|told|telling) apart": "distinguish",
    r"untrained": "with random weights",
}
"""Patterns of words that the field does not use in this sense, and better ones."""
ANY_BANNED = re.compile(rf"\b({'|'.join(BANNED)})\b", re.IGNORECASE)

QUESTION = re.compile(r"(What|Whether|How|Who|Whose|That|Where|Why|When|Which)\b")
VAGUE = {
    *("asked", "chosen", "found", "given", "left", "mine", "one", "own", "place", "said"),
    *("there", "told", "wanted"),
}
"""Names of variables that do not say what they hold."""

ALLOWED: dict[str, set[str]] = {
    "CHANGELOG.md": {"asker"},  # a former key
    "src/agfnet/config/renamed.py": {r"strange(r|rs)?"},  # a former name
}
"""File to the patterns of BANNED that are right there."""


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def names_assigned(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg


def by_folder(paths: Sequence[Path]) -> pytest.MarkDecorator:
    """A test for each folder: one for each file would take longer to set up than to run."""
    folders = {path.parent: shown(path.parent) for path in paths}
    parts = [[path for path in paths if path.parent == folder] for folder in folders]
    return pytest.mark.parametrize("paths", parts, ids=folders.values())


@by_folder([*CODE, *PROSE])
def test_no_banned_words(paths: list[Path]) -> None:
    problems = [
        f"{shown(path)}:{number}: {match[0]!r}; better: {BANNED[pattern]}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if ANY_BANNED.search(line)
        for pattern in BANNED.keys() - ALLOWED.get(shown(path), set())
        if (match := re.search(rf"\b{pattern}\b", line, re.IGNORECASE))
    ]
    assert not problems, "\n".join(problems)


@by_folder(CODE)
def test_docstrings_open_with_a_noun_phrase_or_an_imperative(
    paths: list[Path], trees: Mapping[Path, ast.Module]
) -> None:
    problems = [
        f"{shown(path)}:{getattr(node, 'lineno', 1)}: {text.splitlines()[0]}"
        for path in paths
        for node in ast.walk(trees[path])
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if QUESTION.match(text := (ast.get_docstring(node, clean=False) or "").lstrip())
    ]
    assert not problems, "\n".join(problems)


@by_folder(CODE)
def test_names_say_what_they_hold(paths: list[Path], trees: Mapping[Path, ast.Module]) -> None:
    problems = [
        f"{shown(path)}:{line}: {name}"
        for path in paths
        for line, name in names_assigned(trees[path])
        if name in VAGUE
    ]
    assert not problems, "\n".join(problems)


def test_the_lint_can_fail() -> None:
    assert re.search(r"\bmend(s|ed|ing)?\b", "how it is mended")
    assert ANY_BANNED.search("how it is mended")
    assert QUESTION.match("Whether it is so.")
    assert not QUESTION.match("Howard's rule.")
    assert [name for _, name in names_assigned(ast.parse("found = 1\ndef f(given): ..."))] == [
        "found",
        "given",
    ]
