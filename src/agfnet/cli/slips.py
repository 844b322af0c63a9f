"""Slips of the keyboard: one line with what is wrong, and a guess."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

TYPES = {
    "<class 'int'>": "a whole number",
    "<class 'float'>": "a number",
    "<class 'bool'>": "true or false",
    "<class 'str'>": "a text",
    "<class 'dict'>": "a mapping, as in '{name: value}'",
    "<class 'list'>": "a list, as in '[a, b]'",
    "list[": "a list, as in '[a, b]'",
}
"""Names that jsonargparse gives to types, in words."""


def guess(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean NAME?` for the known name most like it, or nothing.

    Of a dotted name, the last part counts: `epochs` is taken for `optim.epochs`.
    """
    names = list(known)
    last = name.rpartition(".")[2]
    by_last: dict[str, str] = {}
    for option in names:
        by_last.setdefault(option.rpartition(".")[2], option)
    exact = [option for option in names if option.rpartition(".")[2] == last]
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    parts = difflib.get_close_matches(last, by_last, n=1, cutoff=0.6)
    best = exact[:1] or close or [by_last[part] for part in parts]
    return f"; did you mean {best[0]}?" if best else ""


def explain_error(message: str, parser: Any) -> str:
    """Return an error of the parser as one line.

    Args:
        message: The text of jsonargparse.
        parser: The parser of the command.
    """
    options = [
        option.removeprefix("--").replace("_", "-")
        for action in parser._actions
        for option in action.option_strings
        if option.startswith("--")
    ]
    if match := re.search(r"unrecognized arguments: (.*)", message, re.DOTALL):
        return _unknown(match[1].split()[0], options)
    if match := re.search(r"does not accept option '([^']+)'", message):
        return _unknown(f"--{match[1]}", options)
    if match := re.search(r"arguments are required: (.*)", message):
        return _missing(match[1].split(", ")[0])
    if match := re.search(r"Parser key \"([^\"]+)\":\s*(.*)", message, re.DOTALL):
        return f"{match[1]}: {_wrong_value(match[2])}"
    return " ".join(message.split())


def _unknown(argument: str, options: list[str]) -> str:
    """Return the error of an option, or of a word that no setting takes."""
    name = argument.removeprefix("--").partition("=")[0].replace("_", "-")
    if not argument.startswith("--"):
        return f"{argument!r} is not expected here; settings are written --NAME VALUE"
    suggestion = guess(name, options).replace("mean ", "mean --")
    return f"no setting --{name}{suggestion or '; --help-all lists the settings'}"


def _missing(dotted: str) -> str:
    """Return the error of a setting that is required."""
    command, _, name = dotted.partition(".")
    if command == "command":
        return "name a command; `agfnet --help` lists them"
    named = f"--{name}" if "." in name else name.upper()
    return f"{named} is missing; `agfnet {command} --help` shows examples"


def _wrong_value(text: str) -> str:
    """Return the value, and what was expected."""
    value = re.search(r"Given value: (.*)", text, re.DOTALL)
    value = value or re.search(r"Got value: (.*)", text, re.DOTALL)
    text = re.sub(r"Given value type: .*", "", text)  # what it is, not what was expected
    shown = " ".join(value[1].split()) if value else ""
    literal = re.search(r"typing\.Literal\[([^\]]*)\]", text)
    if literal:
        choices = re.findall(r"'([^']*)'", literal[1])
        return f"{shown!r}{guess(shown, choices) or '; expected ' + ', '.join(choices)}"
    kinds = dict.fromkeys(words for name, words in TYPES.items() if name in text)
    if not kinds:
        return " ".join(text.split())
    return f"{shown!r}; expected {' or '.join(kinds)}"
