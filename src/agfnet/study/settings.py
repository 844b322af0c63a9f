"""Settings from mappings: apply changes by dotted name, and check every name and value."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any, TypeVar, get_type_hints

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from agfnet.bundle.files import adapter
from agfnet.config.renamed import entry_type, group_type, update
from agfnet.config.settings_file import dotted_names
from agfnet.data.problems import near
from agfnet.errors import ConfigError
from agfnet.terminal import warn

T = TypeVar("T")
Values = dict[str, Any]
UNION = re.compile(r"(list|dict)\[|(str|int|float|\[key\])$")
"""Parts of a location in pydantic's errors that name an alternative of a type, no setting."""
SHOULD_BE = "Input should be "
FRACTION = "data.train_fraction"
LENGTH = {"optim.epochs", "optim.batch_size"}
"""Settings by which networks of few lesions may be trained for as many steps as those of many."""


def training_fractions(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return the fraction of the training patients in each setting that a learning curve joins.

    Those are the settings that change this fraction alone, or with it the length of training; none
    if two of them have the same fraction.

    Examples:
        >>> training_fractions({"half": {"data.train_fraction": 0.5}, "all": {}})
        {'half': 0.5, 'all': 1.0}
    """
    fractions = {
        name: float(change.get(FRACTION) or 1.0)
        for name, change in settings.items()
        if set(change) <= {FRACTION} | (LENGTH if FRACTION in change else set())
    }
    return fractions if len(set(fractions.values())) == len(fractions) else {}


def margins(rope: float | Mapping[str, float] | None, metrics: Sequence[str]) -> dict[str, float]:
    """Return the margin of each metric that has one."""
    if rope is None:
        return {}
    return dict(rope) if isinstance(rope, Mapping) else dict.fromkeys(metrics, rope)


def overlay(values: Values, changes: Mapping[Any, Any], kind: Any, where: str) -> Values:
    """Return values with changes by dotted name; a group of settings may also be a mapping.

    A mapping from names to groups, such as `data.modalities`, is replaced by a mapping, and reduced
    to some of its groups by a list of names.

    Args:
        values: Values to change; not modified.
        changes: Dotted name to value.
        kind: Dataclass whose fields the values are.
        where: Prefix of error messages: the file and the section.

    Raises:
        ConfigError: A name is no setting.
    """
    result = copy.deepcopy(values)
    for dotted, value in update(changes, kind, warn=warn).items():
        group, inner = result, kind
        *groups, name = str(dotted).split(".")
        for part in groups:
            inner = _member_type(inner, part, f"{where}: {dotted}")
            group = group.setdefault(part, {})
            if not isinstance(group, dict):
                raise ConfigError(f"{where}: {dotted}: {part} is not a group of settings")
        inner = group_type(_member_type(inner, name, f"{where}: {dotted}"))
        if is_dataclass(inner) and value is None and name in group:
            continue  # a heading with nothing below it
        group[name] = _overlaid(group.get(name), value, inner, f"{where}: {dotted}")
    return result


def _overlaid(before: Any, value: Any, kind: Any, where: str) -> Any:
    """Return the new value of one setting of a type."""
    entry = entry_type(kind)
    if is_dataclass(kind) and isinstance(value, Mapping):
        return overlay(before or {}, value, kind, where)
    if is_dataclass(entry) and isinstance(value, Mapping):
        return {
            key: overlay({}, group or {}, entry, f"{where}.{key}")
            if isinstance(group, Mapping | None)
            else group
            for key, group in value.items()
        }
    if is_dataclass(entry) and isinstance(value, list):
        known = before or {}
        if not known:
            raise ConfigError(f"{where}: expected a mapping, lines of the form `name: value`")
        for key in value:
            if key not in known:
                raise ConfigError(f"{where}: no {key!r}; {near(str(key), known)}")
        return {key: known[key] for key in value}
    return value


def build(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    """Build a dataclass from values whose names `overlay` has checked.

    Raises:
        ConfigError: A value is of the wrong type, out of range, or missing.
    """
    try:
        return adapter(kind).validate_python(dict(values))  # type: ignore[arg-type]
    except ValidationError as error:
        raise ConfigError(f"{where}: {_describe(error.errors())}") from error
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _describe(errors: Sequence[ErrorDetails]) -> str:
    """Return the first error of pydantic in words: the setting, what it may be, and its value.

    Of a type with alternatives, the one that got furthest into the value tells most.
    """
    names = [[str(part) for part in e["loc"] if not UNION.match(str(part))] for e in errors]
    alternatives = [i for i, name in enumerate(names) if name[:1] == names[0][:1]]
    if UNION.match(str(errors[0]["loc"][-1])):
        depth = max(len(names[i]) for i in alternatives)
        name = next(names[i] for i in alternatives if len(names[i]) == depth)
    else:
        name = names[0]
    same = [errors[i] for i in alternatives if names[i] == name]
    texts = list(dict.fromkeys(e["msg"] for e in same))
    expected = " or ".join([texts[0], *(text.removeprefix(SHOULD_BE) for text in texts[1:])])
    value = "" if same[0]["type"] == "missing" else f", not {same[0]['input']!r}"
    return f"{'.'.join(name)}: {expected}{value}"


def as_values(config: object) -> Values:
    """Return settings as nested mappings of plain values."""
    return asdict(config)  # type: ignore[call-overload]


def refuse_names(names: Iterable[str], values: Mapping[str, Any], where: str) -> None:
    """Raise ConfigError for the first of these names among the values: the study decides them.

    Args:
        names: Dotted names.
        values: Settings by dotted name, nested or not.
        where: Prefix of the error message: the file and the section.
    """
    changed = set(dotted_names(values))
    for name in names:
        if name in changed:
            raise ConfigError(f"{where}.{name}: the study decides it; leave it out")


def slug(text: str) -> str:
    """Return a name in lower case with hyphens, for folders and files."""
    return re.sub(r"[^\w.]+", "-", text.casefold()).strip("-.")


def _member_type(kind: Any, name: str, where: str) -> Any:
    """Return the type of a setting of a group."""
    kind = group_type(kind)
    if is_dataclass(kind):
        known = get_type_hints(kind)
        if name not in known:
            raise ConfigError(f"{where}: no setting {name!r}; {near(name, known)}")
        return known[name]
    return entry_type(kind)
