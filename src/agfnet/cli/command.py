"""A command of the program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Command:
    """A command: its settings, from which its help is made, and what it does."""

    settings: type
    action: Callable[[Any], None]
    default_file: str | None = None  # if the command's argument `file` may be left out
