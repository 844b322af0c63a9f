"""Settings of commands that print a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agfnet.config.ranges import Settings


@dataclass(frozen=True)
class CompletionConfig(Settings):
    """Print the script with which a shell completes commands and settings."""

    shell: Literal["bash", "zsh"]
    """Shell that reads the script."""


@dataclass(frozen=True)
class SchemaConfig(Settings):
    """Print the JSON Schema of a file that agfnet writes; without a file, list the files."""

    file: str
    """Name of the file, as in `metrics.json`."""
