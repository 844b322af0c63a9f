"""The command line: parser, arguments, and one file per command.

Exit codes: 0 done, 1 the data or the model has problems (listed), 2 wrong use, 75 stopped by a
signal of a scheduler, which may start the same command again.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from io import TextIOWrapper

from agfnet.cli.arguments import current_arguments
from agfnet.cli.commands import COMMANDS
from agfnet.cli.parser import build_parser
from agfnet.cli.slips import guess
from agfnet.config.forms import given_settings
from agfnet.config.renamed import plain_value
from agfnet.errors import AgfnetError, ConfigError, StoppedError, missing_package, system_message
from agfnet.remote import local_copies
from agfnet.terminal import say
from agfnet.threads import START  # noqa: F401 - measured from here on

__all__ = ["COMMANDS", "build_parser", "main"]

CODES: dict[type[AgfnetError], int] = {ConfigError: 2, StoppedError: 75}
"""Exit codes of errors; 1 for others. 75 is EX_TEMPFAIL of sysexits.h."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # for terminals that are not UTF-8
    if not os.environ.get("COLUMNS", "1").strip("0"):
        del os.environ["COLUMNS"]  # a terminal of width 0, as of some containers, shows nothing
    name, debug = arguments[0], False
    try:
        if name not in COMMANDS and not name.startswith("-"):
            raise ConfigError(
                f"no such command{guess(name, COMMANDS) or '; `agfnet --help` lists them'}"
            )
        brief = bool({"-h", "--help"} & set(arguments))
        parser = build_parser(arguments[:1], full=not brief)
        options = [re.sub("^--help[-_]all$", "--help", argument) for argument in arguments]
        words = current_arguments(options)
        parsed = parser.parse_args(words)
        debug = parsed[name].debug
        values = vars(parser.instantiate(parsed)[name])
        command = COMMANDS[name]
        settings = {k: v for k, v in values.items() if k not in ("config", "debug")}
        extra_arguments = (
            (explicit_settings(words, command.settings),) if command.takes_explicit else ()
        )
        with local_copies(command.settings(**settings), say) as local:
            command.action(local, *extra_arguments)
    except (AgfnetError, ModuleNotFoundError, OSError, KeyboardInterrupt) as error:
        if debug and isinstance(error, Exception):
            raise
        extra = COMMANDS[name].extra if name in COMMANDS else ""
        say(f"agfnet {name}: {message(error, extra)}", error=True)
        return next((code for kind, code in CODES.items() if isinstance(error, kind)), 1)
    return 0


def explicit_settings(words: Sequence[str], kind: type) -> frozenset[str]:
    """Return the dotted names of the settings that the arguments or their settings file set.

    Args:
        words: Arguments as `current_arguments` returns them.
        kind: The settings of the command.
    """
    names: set[str] = set()
    for word in words:
        name, _, text = word.removeprefix("--").partition("=")
        if word.startswith("--") and name != "debug":
            value = plain_value(text)
            content = value if name == "config" else {name: value}
            names |= given_settings(content, kind) if isinstance(content, dict) else set()
    return frozenset(names)


def message(error: BaseException, extra: str = "") -> str:
    """Return an error in one line, with the solution where it is known.

    Args:
        error: The error.
        extra: Extra that the command needs.
    """
    if isinstance(error, ModuleNotFoundError):
        return missing_package(error, extra)
    if isinstance(error, OSError):
        return system_message(error)
    return "stopped" if isinstance(error, KeyboardInterrupt) else str(error)
