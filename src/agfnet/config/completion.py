"""Settings of the command `completion`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agfnet.config.ranges import Settings


@dataclass(frozen=True)
class CompletionConfig(Settings):
    """Print the script with which a shell completes commands and settings."""

    shell: Literal["bash", "zsh"]
    """Shell that reads the script."""
