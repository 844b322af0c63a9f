"""Arguments as typed, rewritten for the parser: former names, settings files, images."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agfnet.cli.commands import COMMANDS
from agfnet.config.forms import accept_forms
from agfnet.config.renamed import plain_value, run_settings, update, update_arguments
from agfnet.config.settings_file import read_yaml
from agfnet.errors import RunError
from agfnet.terminal import warn


def current_arguments(arguments: Sequence[str]) -> list[str]:
    """Return arguments as the parser expects them.

    Images become one option, and `train --reproduce RUN` gets the table of the run. Former names of
    settings are replaced, `--config FILE` by its content, and values that are written in another
    form (`agfnet.config.forms`) by the form of their type.
    """
    command = COMMANDS.get(arguments[0]) if arguments else None
    if command is None:
        return list(arguments)
    kind = command.settings
    result = []
    before: dict[str, Any] = {}
    words = join_images(arguments)
    for argument in update_arguments([*words, *table_of_reproduced(words)], kind, warn):
        name, equals, text = argument.removeprefix("--").partition("=")
        if name == "config" and equals:
            before = accept_forms(update(read_yaml(Path(text)), kind, warn=warn), kind)
            argument = f"--config={json.dumps(before, default=str)}"
        elif equals and argument.startswith("--"):
            value = labels_as_text(name, text)
            accepted = accept_forms({name: value}, kind, before)[name]
            # lists and mappings always: the parser would read `[yes]` as true
            if accepted != value or isinstance(accepted, list | dict):
                argument = f"--{name}={json.dumps(accepted, default=str)}"
        result.append(argument)
    return result


def labels_as_text(name: str, text: str) -> Any:
    """Return the value of an option as a settings file has it, where labels are text."""
    if name.rpartition(".")[2] != "labels":
        return plain_value(text)
    settings = plain_value(f"labels: {text}")
    return settings["labels"] if isinstance(settings, dict) else text


def table_of_reproduced(arguments: Sequence[str]) -> list[str]:
    """Return the option for the table of the run in `train --reproduce RUN`, if it is needed.

    None is needed for other commands, or where a path is given.

    Raises:
        RunError: it is not a run folder.
    """
    option = re.compile(r"--(reproduce|data[._]cases)(?:=(.*))?", re.DOTALL)
    values = {}
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if match := option.fullmatch(argument):
            values[match[1]] = following if match[2] is None else match[2]
    if arguments[:1] != ["train"] or values.keys() != {"reproduce"}:
        return []
    run = Path(values["reproduce"])
    if not (run / "config.yaml").is_file():
        raise RunError(f"{run}: not a run folder (no config.yaml); expected runs/NAME")
    return [f"--data.cases={run_settings(run)['data']['cases']}"]


def join_images(arguments: Sequence[str]) -> list[str]:
    """Join options `--images.NAME PATH` to one in JSON: as YAML, `arm: left.jpg` is a mapping.

    Likewise `--files.NAME PATTERN` and `--columns.NAME COLUMN`. An image option that is repeated
    gives several files of one modality.
    """
    values: dict[str, dict[str, str]] = {}
    others: list[str] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        option = re.fullmatch(r"--(images|files|columns)\.([^=]+)(=.*)?", argument, re.DOTALL)
        if option is None or (option[3] is None and not waiting):
            others.append(argument)
        else:
            text = waiting.pop(0) if option[3] is None else option[3][1:]
            group = values.setdefault(option[1], {})
            former = group.get(option[2]) if option[1] == "images" else None
            group[option[2]] = "|".join(filter(None, [former, text]))
    return [*others, *(f"--{name}={json.dumps(group)}" for name, group in values.items())]
