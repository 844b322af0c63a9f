"""Help texts: notice, examples, main settings first, 80 columns."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from agfnet.cli import COMMANDS, build_parser, main
from agfnet.cli.arguments import current_arguments, join_images
from agfnet.config import StudyConfig

DOCS = Path(__file__).parents[2] / "docs"


def help_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert not stop.value.code
    return capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["--help", "--help-all"])
def test_help_teaches_within_80_columns(
    command: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = help_of([command, option], capsys)
    assert "Research use only, not a medical device." in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80
    examples = text.partition("Examples:\n")[2].splitlines()
    assert examples[0].startswith(f"  agfnet {command}")
    assert f"Documentation: docs/{COMMANDS[command].docs}" in text


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of([], capsys)
    assert "Research use only, not a medical device." in text
    assert all(f"\n  {command} " in text for command in COMMANDS)
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_are_understood_and_documented(command: str) -> None:
    assert (DOCS / COMMANDS[command].docs).is_file()
    for line in COMMANDS[command].examples:
        program, *arguments = shlex.split(line)
        assert program == "agfnet"
        if "--config" not in arguments:  # a file that is not there
            parsed = build_parser([command]).parse_args(current_arguments(join_images(arguments)))
            assert parsed.command == command


def test_train_shows_main_settings_first(capsys: pytest.CaptureFixture[str]) -> None:
    brief = help_of(["train", "--help"], capsys)
    main_settings = COMMANDS["train"].main
    assert all(f"--{name.replace('_', '-')}" in brief for name in main_settings)
    assert len(main_settings) <= 12
    assert "--reconstruction" not in brief
    full = help_of(["train", "--help-all"], capsys)
    assert "--reconstruction.mask-ratio" in full
    assert "Range: 16 to 4096. (type: int, default: 224)" in " ".join(full.split())


def test_tables_have_their_columns_in_the_help() -> None:
    for name, command in COMMANDS.items():
        reads = "cases" in getattr(command.settings, "__annotations__", {}) or name == "train"
        if reads and name not in ("compare", "export") and command.settings is not StudyConfig:
            assert "lesion_id, patient_id, label" in command.columns
