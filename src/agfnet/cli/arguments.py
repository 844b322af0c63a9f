"""Arguments as typed, rewritten for the parser: former names, settings files, images."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from agfnet.cli.commands import COMMANDS
from agfnet.config.renamed import update, update_arguments
from agfnet.config.settings_file import read_yaml
from agfnet.terminal import warn


def current_arguments(arguments: Sequence[str]) -> list[str]:
    """Return arguments with present names of settings, and `--config FILE` as its content."""
    command = COMMANDS.get(arguments[0]) if arguments else None
    if command is None:
        return list(arguments)
    result = []
    for argument in update_arguments(arguments, command.settings, warn):
        if argument.startswith("--config="):
            values = read_yaml(Path(argument.removeprefix("--config=")))
            values = update(values, command.settings, warn=warn)
            argument = f"--config={json.dumps(values, default=str)}"
        result.append(argument)
    return result


def join_images(arguments: Sequence[str]) -> list[str]:
    """Join options `--images.NAME PATH` to one in JSON: as YAML, `arm: left.jpg` is a mapping."""
    images: dict[str, str] = {}
    others: list[str] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        option = re.fullmatch(r"--images\.([^=]+)(=.*)?", argument, re.DOTALL)
        if option is None or (option[2] is None and not waiting):
            others.append(argument)
        else:
            images[option[1]] = waiting.pop(0) if option[2] is None else option[2][1:]
    return [*others, f"--images={json.dumps(images)}"] if images else others
