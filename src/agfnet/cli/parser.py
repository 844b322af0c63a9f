"""The parser of the command line, made from the settings."""

from __future__ import annotations

import json
import re
import textwrap
from argparse import SUPPRESS, Action, RawDescriptionHelpFormatter
from collections.abc import Sequence
from dataclasses import MISSING, asdict, fields, is_dataclass
from functools import partial
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NoReturn, Union, get_args, get_origin

import yaml
from jsonargparse import (
    ArgumentParser,
    DefaultHelpFormatter,
    _loaders_dumpers,
    set_loader,
    set_parsing_settings,
)

from agfnet import NOTICE, __version__
from agfnet.cli.command import Command
from agfnet.cli.commands import COMMANDS
from agfnet.cli.slips import explain_error
from agfnet.config import range_of
from agfnet.config.renamed import entry_type
from agfnet.config.settings_file import Loader, NumberLoader
from agfnet.errors import ConfigError

WIDTH = 80
MAX_METAVAR = 40  # characters; longer lists of choices are part of the help text
DESCRIPTION = f"""Skin lesion diagnosis from a clinical photograph and skin ultrasound.
{NOTICE}

First steps:  agfnet demo
Own data:     agfnet split cases.csv data.csv
              agfnet train --data.cases data.csv
              agfnet predict runs/agfnet --images.clinical a.jpg \\
                --images.ultrasound b.png
"""
PRINT_CONFIG = """Print all settings, as the other arguments set them, as a YAML file, and exit.
Flags: `skip_default`, `skip_unset`."""
EPILOG = """`agfnet COMMAND --help` shows examples and the main settings of a command.
Documentation: docs/ and README.md of the source code."""


class Formatter(RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Keeps the lines of the description, and writes options with hyphens and types in words."""

    def format_help(self) -> str:
        """Return the help text; options may be typed with underscores as well."""
        text: str = super().format_help()
        return re.sub(r"--\w[\w.]*", lambda option: option[0].replace("_", "-"), text) + "\n"

    def start_section(self, heading: str | None) -> None:
        """Begin a group of settings; its heading may be longer than a line."""
        super().start_section(heading and textwrap.fill(heading, WIDTH - 1))

    def _format_action(self, action: Action) -> str:
        subactions = list(self._iter_indented_subactions(action))
        if subactions:  # the commands, without a heading for all of them
            return "".join(map(self._format_action, subactions))
        return super()._format_action(action)

    def _get_help_string(self, action: Action) -> str:
        hint = getattr(action, "_typehint", None)
        if not hasattr(action, "extra_help") or action.help == SUPPRESS:
            return super()._get_help_string(action)
        notes = [] if self._get_type_str(action) is None else ["type: %(type)s"]
        if action.required:
            notes.insert(0, "required")
        elif isinstance(action.default, dict) and is_dataclass(entry_type(hint)):
            notes.append(f"default: {', '.join(action.default)}")
        else:
            notes.append("default: unset" if action.default is None else "default: %(default)s")
        return f"{action.help} ({', '.join(notes)})"

    def _get_type_str(self, action: Action) -> str | None:
        hint = getattr(action, "_typehint", None)
        if hint is None:
            return super()._get_type_str(action)
        words = [type_words(part) for part in alternatives(hint) if part is not NoneType]
        return " or ".join(dict.fromkeys(filter(None, words))) or None


def alternatives(hint: Any) -> tuple[Any, ...]:
    """Return the types of a union; one type by itself."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def type_words(hint: Any) -> str:
    """Return the name of a type in the help; nothing for a choice, which is listed anyway."""
    hint = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    kind = get_origin(hint) or hint
    if is_dataclass(entry_type(hint)):
        return "mapping or list of names"
    names = {list: "list", tuple: "list", dict: "mapping", Literal: "", bool: ""}
    names |= {int: "int", float: "float", str: "str"}
    return names.get(kind, getattr(kind, "__name__", ""))


class Parser(ArgumentParser):
    """A parser whose errors are one line with a guess."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise the error.

        Raises:
            ConfigError: always.
        """
        parser = getattr(ex, "subcommand_parser", None) or self
        raise ConfigError(explain_error(message, parser)) from ex


def build_parser(arguments: Sequence[str] = tuple(COMMANDS), *, full: bool = True) -> Parser:
    """Build the parser, with the help texts of `agfnet.config`.

    Args:
        arguments: The commands among them get their settings. To build those of all commands takes
            longer than a prediction.
        full: Show all settings in the help, not only the main ones.
    """
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    set_loader("yaml", partial(yaml.load, Loader=Loader), (yaml.YAMLError,))
    # jsonargparse reads a text again where a number is expected, as YAML 1.1: 1:30 would be 90
    _loaders_dumpers.yaml_default_loader = NumberLoader  # type: ignore[assignment]
    parser = Parser(
        prog="agfnet",
        usage="agfnet COMMAND [--OPTION VALUE ...]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=Formatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"agfnet {__version__}")
    commands = parser.add_subcommands(
        dest="command",
        required=True,
        title="Commands",
        description="Each has examples: `agfnet COMMAND --help`.",
    )
    for name, command in COMMANDS.items():
        summary = " ".join((command.settings.__doc__ or "").strip().split("\n\n")[0].split())
        sub = Parser(
            usage=usage(name, command),
            description=textwrap.fill(f"{summary} {NOTICE}", WIDTH),
            epilog=epilog(name, command, full=full),
            formatter_class=Formatter,
            allow_abbrev=False,
        )
        commands.add_subcommand(name, sub, help=summary)
        if name in arguments:
            add_settings(sub, command.settings, command.main if not full else ())
            optional = {"file": command.default_file, "out": command.default_out}
            for action in sub._actions:
                if (default := optional.get(action.dest)) is not None:
                    action.nargs, action.required, action.default = "?", False, default
    return parser


def usage(name: str, command: Command) -> str:
    """Return the usage line of a command."""
    optional = {"file": command.default_file, "out": command.default_out}
    positional = [
        f"[{field.name.upper()}]"
        if optional.get(field.name) is not None
        else field.name.upper() + (" ..." if field.type == "list[str]" else "")
        for field in fields(command.settings)
        if field.default is field.default_factory is MISSING and not field.type.endswith("Config")
    ]
    return " ".join(["agfnet", name, *positional, "[--OPTION VALUE ...]"])


def epilog(name: str, command: Command, *, full: bool) -> str:
    """Return what follows the settings in the help: examples, columns of the table, documentation.

    Args:
        name: The name of the command.
        command: The command.
        full: All settings are shown already.
    """
    parts = [] if full or not command.main else [f"More settings: agfnet {name} --help-all"]
    parts.append("\n".join(["Examples:", *(f"  {line}" for line in command.examples)]))
    parts += [command.columns] if command.columns else []
    parts.append(f"Documentation: docs/{command.docs}")
    return "\n\n".join(parts)


def add_settings(parser: ArgumentParser, kind: type, main: Sequence[str] = ()) -> None:
    """Add the settings of a command to its parser.

    Args:
        parser: The parser.
        kind: The class of the settings.
        main: Settings that the help shows; all if empty.
    """
    parser.add_argument("--config", action="config", help="YAML file with settings.")
    parser.add_argument("--debug", type=bool, default=False, help="Show the traceback of an error.")
    if main:
        parser.add_argument("--help-all", action="help", help="Show all settings and exit.")
    parser.add_class_arguments(kind, as_positional=True)
    summary = (kind.__doc__ or "").split(".")[0]
    for group in parser._action_groups:
        if (group.title or "").startswith(summary):
            group.title = "Settings"  # the summary is the description of the command
    for action in parser._actions:
        hint = getattr(action, "_typehint", None)
        if hint == list[str] and not action.option_strings:  # `agfnet ensemble RUN RUN`
            action.nargs, action.metavar = "+", action.dest.upper()
            action._typehint = str  # type: ignore[attr-defined]
        if hint is bool:
            action.nargs, action.const = "?", True  # `--resume` means `--resume true`
        if action.dest == "print_config":  # jsonargparse writes a backspace into its value
            action.metavar, action.help = "[=FLAGS]", PRINT_CONFIG
        if (allowed := range_of(kind, action.dest)) is not None:
            action.help = f"{action.help} Range: {allowed}."
        shorten_choices(action, hint)
        if isinstance(action.default, dict):  # plain values, as `--print-config` needs them
            action.default = json.loads(json.dumps(action.default, default=asdict))
        if main and action.option_strings and action.dest not in (*main, "help", "config"):
            action.help = SUPPRESS


def shorten_choices(action: Any, hint: Any) -> None:
    """Move a long list of choices from the name of the value to the help text."""
    if get_origin(hint) is Literal and len(", ".join(map(str, get_args(hint)))) > MAX_METAVAR:
        action.metavar = action.dest.rpartition(".")[2].upper()
        action.help = f"{action.help} One of: {', '.join(map(str, get_args(hint)))}."
