"""Settings from a mapping: dotted names laid over one another, every name and value checked."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from agfnet.data.problems import near
from agfnet.errors import ConfigError

T = TypeVar("T")
Values = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """Refuses a key that occurs twice, where YAML silently takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping; an error names the place of the second key."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key!r} occurs twice; keep one", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Values:
    """A YAML file that holds a mapping.

    Raises:
        ConfigError: it cannot be read, is no YAML, or holds something else.
    """
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); name a YAML file") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{path}: cannot be read as YAML: {' '.join(str(error).split())}"
        ) from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: holds no mapping; expected `name: value` lines")
    return found


def lay_over(values: Values, changes: Mapping[Any, Any], kind: Any, where: str) -> Values:
    """Values with changes by dotted name; a group of settings may also be given as a mapping.

    A mapping from names to groups, as `data.modalities`, is replaced by a mapping; a list of names
    keeps those.

    Args:
        values: what is there; stays as it is.
        changes: dotted name to value.
        kind: the dataclass whose fields the values are.
        where: begins the message of an error.

    Raises:
        ConfigError: there is no setting of a name.
    """
    result = copy.deepcopy(values)
    for dotted, value in changes.items():
        place, inner = result, kind
        *groups, name = str(dotted).split(".")
        for group in groups:
            inner = _member(inner, group, f"{where}: {dotted}")
            place = place.setdefault(group, {})
            if not isinstance(place, dict):
                raise ConfigError(f"{where}: {dotted}: {group} has no settings of its own")
        inner = _member(inner, name, f"{where}: {dotted}")
        inner, entry = _group(inner), _group(_entry(inner))
        if is_dataclass(inner) and isinstance(value, Mapping):
            value = lay_over(place.get(name) or {}, value, inner, f"{where}: {dotted}")
        elif is_dataclass(entry) and isinstance(value, Mapping):
            value = {
                key: lay_over({}, given or {}, entry, f"{where}: {dotted}.{key}")
                if isinstance(given, Mapping | None)
                else given
                for key, given in value.items()
            }
        elif is_dataclass(inner) and value is None and name in place:
            continue  # a heading with nothing below it
        elif is_dataclass(entry) and isinstance(value, list):
            known = place.get(name) or {}
            for key in value:
                if key not in known:
                    raise ConfigError(f"{where}: {dotted}: no {key!r}; {near(str(key), known)}")
            value = {key: known[key] for key in value}
        place[name] = value
    return result


def build(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    """A dataclass from values whose names `lay_over` has checked.

    Raises:
        ConfigError: a value is of the wrong kind, out of range, or missing.
    """
    try:
        return TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        given = "" if first["type"] == "missing" else f", not {first['input']!r}"
        raise ConfigError(f"{where}: {name}: {first['msg']}{given}") from error
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _member(kind: Any, name: str, where: str) -> Any:
    """Type of a setting of a group."""
    kind = _group(kind)
    if is_dataclass(kind):
        known = get_type_hints(kind)
        if name not in known:
            raise ConfigError(f"{where}: no setting {name!r}; {near(name, known)}")
        return known[name]
    return _entry(kind)


def _group(kind: Any) -> Any:
    """The dataclass of an alternative, as `SearchConfig | None`; other types as they are."""
    if not isinstance(kind, UnionType):
        return kind
    return next((one for one in get_args(kind) if is_dataclass(one)), kind)


def _entry(kind: Any) -> Any:
    """Type of the values of a mapping; Any of anything else."""
    return get_args(kind)[1] if get_origin(kind) is dict else Any
