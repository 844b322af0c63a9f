"""The parser of the command line, made from the settings."""

from __future__ import annotations

import json
import re
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from dataclasses import MISSING, asdict, fields

from jsonargparse import ArgumentParser, DefaultHelpFormatter, set_parsing_settings

from agfnet import NOTICE, __version__
from agfnet.cli.commands import COMMANDS
from agfnet.config import range_of

DESCRIPTION = f"""Skin lesion diagnosis from a clinical photograph and skin ultrasound.
{NOTICE}

First steps:  agfnet demo
Own data:     agfnet split cases.csv data.csv
              agfnet train --data.cases data.csv
              agfnet predict runs/agfnet --images.clinical a.jpg --images.ultrasound b.png
"""


class Formatter(RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Keeps the lines of the description, and writes options with hyphens."""

    def format_help(self) -> str:
        """Return the help text; options may be typed with underscores as well."""
        text: str = super().format_help()
        return re.sub(r"--\w[\w.]*", lambda option: option[0].replace("_", "-"), text)


def build_parser(names: Sequence[str] = tuple(COMMANDS)) -> ArgumentParser:
    """Build the parser, with the help texts of `agfnet.config`.

    Args:
        names: Commands that get their settings. To build those of all commands takes longer than a
            prediction.
    """
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(
        prog="agfnet", description=DESCRIPTION, formatter_class=Formatter, allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"agfnet {__version__}")
    commands = parser.add_subcommands(dest="command", required=True)
    for name, command in COMMANDS.items():
        summary = (command.settings.__doc__ or "").strip().splitlines()[0]
        positional = [
            field.name.upper()
            for field in fields(command.settings)
            if field.default is field.default_factory is MISSING
            and not field.type.endswith("Config")
        ]
        sub = ArgumentParser(
            usage=" ".join(
                ["agfnet", name, *positional, "[--OPTION VALUE ...]"]
                if command.default_file is None
                else ["agfnet", name, "[FILE]", "[--OPTION VALUE ...]"]
            ),
            description=f"{summary} {NOTICE}",
            formatter_class=Formatter,
            allow_abbrev=False,
        )
        commands.add_subcommand(name, sub, help=summary)
        if name in names:
            add_settings(sub, command.settings)
            if command.default_file is not None:
                file = next(action for action in sub._actions if action.dest == "file")
                file.nargs, file.required, file.default = "?", False, command.default_file
    return parser


def add_settings(parser: ArgumentParser, kind: type) -> None:
    """Add the settings of a command to its parser."""
    parser.add_argument("--config", action="config", help="YAML file with settings.")
    parser.add_argument("--debug", type=bool, default=False, help="Show the traceback of an error.")
    parser.add_class_arguments(kind, as_positional=True)
    for action in parser._actions:
        if getattr(action, "_typehint", None) is bool:
            action.nargs, action.const = "?", True  # `--resume` means `--resume true`
        if (allowed := range_of(kind, action.dest)) is not None:
            action.help = f"{action.help} Range: {allowed}."
        if isinstance(action.default, dict):  # plain values, as `--print-config` needs them
            action.default = json.loads(json.dumps(action.default, default=asdict))
