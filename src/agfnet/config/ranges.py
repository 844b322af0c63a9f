"""Ranges of settings, stated with the fields; checks and `--help` read them from there."""

from __future__ import annotations

import re
from dataclasses import dataclass, is_dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from agfnet.errors import ConfigError


@dataclass(frozen=True)
class Range:
    """Closed range of a number, or of each number in a tuple: `Annotated[int, Range(1, 256)]`."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.10g} to {self.high:.10g}"


Fraction = Annotated[float, Range(0, 1)]
Seed = Annotated[int, Range(0, 2**32 - 1)]
Workers = Annotated[int, Range(0, 1024)]
Resamples = Annotated[int, Range(1, 1_000_000)]


@dataclass(frozen=True)
class Settings:
    """Base of all settings: refuses values outside of the ranges of its fields."""

    def __post_init__(self) -> None:
        kind: type = type(self)
        for name, allowed in ranges(kind).items():
            value = getattr(self, name)
            for number in value if isinstance(value, list | tuple) else [value]:
                if number is not None and not allowed.low <= number <= allowed.high:
                    raise ConfigError(f"{name}: {number} is out of range; expected {allowed}")


@cache
def ranges(kind: type) -> dict[str, Range]:
    """Return the ranges of the fields of a class that have one."""
    hints = get_type_hints(kind, include_extras=True)
    return {name: allowed for name, hint in hints.items() if (allowed := _range(hint)) is not None}


def range_of(kind: Any, dotted: str) -> Range | None:
    """Return the range of a setting by its dotted name; None if it has none."""
    group, _, name = dotted.rpartition(".")
    for part in filter(None, group.split(".")):
        kind = get_type_hints(kind).get(part) if is_dataclass(kind) else None
    return ranges(kind).get(name) if isinstance(kind, type) and is_dataclass(kind) else None


def _range(hint: Any) -> Range | None:
    """Return the range in a type such as `Annotated[int, Range(1, 9)] | None`."""
    if get_origin(hint) is Annotated:
        return next((part for part in hint.__metadata__ if isinstance(part, Range)), None)
    return next(filter(None, map(_range, get_args(hint))), None)


def parse_duration(text: str, name: str) -> float:
    """Return the seconds of a duration such as `2h`, `90m`, `1h30m` or `45s`."""
    match = re.fullmatch(r"(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s)?", text.replace(" ", ""))
    try:
        parts = [float(part or 0) for part in match.groups()] if match and text.strip() else []
    except ValueError:  # as in 1.2.3h
        parts = []
    if not parts:
        raise ConfigError(
            f"{name}: {text!r}; expected hours, minutes or seconds, as in 2h or 1h30m"
        )
    return 3600 * parts[0] + 60 * parts[1] + parts[2]


def format_duration(seconds: float) -> str:
    """Format a duration for readers, to two digits or so."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def parse_shard(text: str, name: str) -> tuple[int, int]:
    """Return i and n of a setting of the form i/n, with i from 1 to n."""
    match = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
    i, n = map(int, match.groups()) if match else (0, 0)
    if not 1 <= i <= n:
        raise ConfigError(f"{name}: {text!r}; expected i/n with i from 1 to n, as in 2/8")
    return i, n
