"""Completion of commands and settings in a shell."""

from __future__ import annotations

from agfnet.cli.command import Command
from agfnet.config import CompletionConfig


def completion(config: CompletionConfig) -> None:
    from jsonargparse import set_parsing_settings

    from agfnet.cli.parser import build_parser

    set_parsing_settings(add_print_completion_argument=True)
    try:
        build_parser().parse_args([f"--print_completion=shtab-{config.shell}"])
    except SystemExit:  # as after --help
        return
    finally:
        set_parsing_settings(add_print_completion_argument=False)


COMMAND = Command(
    CompletionConfig,
    completion,
    examples=(
        'eval "$(agfnet completion bash)"',
        "agfnet completion zsh > ~/.zfunc/_agfnet",
    ),
    docs="install.md",
)
