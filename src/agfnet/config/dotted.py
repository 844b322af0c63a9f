"""Settings by dotted name, as in `optim.lr`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, is_dataclass, replace
from typing import Any, TypeVar

from agfnet.errors import ConfigError

T = TypeVar("T")


def is_explicit(setting: str, explicit: Collection[str]) -> bool:
    """Return whether a setting, its group, or a part of it was given."""
    return any(
        f"{name}.".startswith(f"{setting}.") or setting.startswith(f"{name}.") for name in explicit
    )


def with_value(settings: T, name: str, value: Any) -> T:
    """Return settings with the one of a dotted name replaced.

    Raises:
        ConfigError: the name leads to an entry that a mapping lacks.
    """
    first, _, rest = name.partition(".")
    current = getattr(settings, first)
    new = value
    if rest and isinstance(current, dict):  # a part of a mapping, as in `data.modalities.photo`
        entry, _, part = rest.partition(".")
        if part and entry not in current:
            raise ConfigError(f"{name}: there is no {entry}; expected {', '.join(current)}")
        new = current | {entry: with_value(current[entry], part, value) if part else value}
    elif rest:
        new = with_value(current, rest, value)
    return replace(settings, **{first: new})  # type: ignore[type-var]


def value_of(settings: Any, name: str) -> Any:
    """Return the setting of a dotted name."""
    for part in name.split("."):
        settings = settings.get(part) if isinstance(settings, dict) else getattr(settings, part)
    return settings


def plain(value: Any) -> Any:
    """Return a value of a setting in plain types."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
