"""Help texts: notice, examples, main settings first, 80 columns."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
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
    assert f"agfnet {command}" in examples[0]
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
        program, *arguments = shlex.split(re.sub(r'^eval "\$\((.*)\)"|\s*>.*', r"\1", line))
        assert program == "agfnet"
        if not {"--config", "--reproduce"} & {*arguments}:  # a file or run that is not there
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


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "completion.bash"
    script.write_text(capsys.readouterr().out)
    code = (
        f"source {script}; COMP_WORDS=(agfnet train --optim.ep); COMP_CWORD=2;"
        ' _shtab_agfnet; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["--optim.epochs"]
