"""Settings from keyword arguments, checked as those of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from agfnet.config.forms import accept_forms
from agfnet.study.settings import build, overlay

T = TypeVar("T")


def make_settings(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    """Build settings from keyword arguments.

    A group of settings is a mapping, as in `optim={"epochs": 3}`, or part of the name with two
    underscores, as in `optim__epochs=3`. Dotted names are accepted as well.

    Args:
        kind: Class of the settings.
        values: Name to value.
        where: Start of an error.

    Raises:
        ConfigError: No such setting, or a value of the wrong type or out of range.
    """
    dotted = {name.replace("__", "."): value for name, value in values.items()}
    return build(kind, overlay({}, accept_forms(dotted, kind), kind, where), where)
