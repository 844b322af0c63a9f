"""What settings have in common: ranges, and shares of the form i/n."""

from __future__ import annotations

import re

from agfnet.errors import ConfigError


def check(settings: object, low: float, high: float, *names: str) -> None:
    """Raise ConfigError unless these settings, where set, lie between the bounds."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and not low <= value <= high:
            raise ConfigError(f"{name}: {value} is out of range; expected {low:g} to {high:g}")


def shard_of(text: str, name: str) -> tuple[int, int]:
    """The i and n of a setting that says i/n, from 1/1 on."""
    match = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
    i, n = map(int, match.groups()) if match else (0, 0)
    if not 1 <= i <= n:
        raise ConfigError(f"{name}: {text!r}; expected i/n with i from 1 to n, as in 2/8")
    return i, n
