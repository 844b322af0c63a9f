"""Forms in which a value may be written: a list of names for a mapping, one value for a list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from agfnet.config.data import ModalityConfig, default_modality, names_ultrasound
from agfnet.config.renamed import entry_type, group_type

Values = Mapping[str, Any]


def accept_forms(values: Values, kind: Any, before: Values | None = None) -> dict[str, Any]:
    """Return settings with every value in the form that its type has.

    `data.modalities: [clinical]` keeps the preparation of this column as it was, or takes the
    default one. `data.labels: MEL` becomes a list, and so does MEL in `{malignant: MEL}`.

    Args:
        values: Settings by name or dotted name, nested or not.
        kind: The dataclass whose fields they are.
        before: Settings that `values` change; the defaults where it has none.
    """
    result = {}
    for dotted, value in values.items():
        hint, default = _field(kind, dotted, before or {})
        group = group_type(hint)
        if is_dataclass(group) and isinstance(value, Mapping):
            result[dotted] = accept_forms(value, group, default or {})
        elif is_dataclass(hint) and value is None:
            continue  # a group all of whose lines are comments
        else:
            result[dotted] = _accept(value, hint, default)
    return result


def given_settings(values: Values, kind: Any, group: str = "") -> set[str]:
    """Return the dotted names of the settings in a mapping, which may be nested.

    A mapping that is one setting, such as `data.modalities`, counts as a whole, but one entry of
    it, or a part of an entry, may be given by its dotted name.

    Args:
        values: Settings by name or dotted name.
        kind: The dataclass whose fields they are.
        group: Dotted name of the group, with a dot at its end.
    """
    names = set()
    for dotted, value in values.items():
        inner, parts = kind, []
        for part in dotted.split("."):
            known = part.replace("-", "_") if is_dataclass(inner) else part
            inner = get_type_hints(inner).get(known) if is_dataclass(inner) else entry_type(inner)
            inner = group_type(inner)
            parts.append(known)
        name = group + ".".join(parts)
        if is_dataclass(inner) and isinstance(value, Mapping):
            names |= given_settings(value, inner, f"{name}.")
        else:
            names.add(name)
    return names


def _accept(value: Any, hint: Any, default: Any) -> Any:
    """Return one value in the form that its type has."""
    entry = entry_type(group_type(hint))
    if entry is ModalityConfig and isinstance(value, str):
        value = [name.strip() for name in value.split(",")]
    if is_dataclass(entry) and isinstance(value, list) and all(isinstance(n, str) for n in value):
        known = default if isinstance(default, Mapping) else {}
        return {name: _as_values(known.get(name), entry, name) for name in value}
    if entry is ModalityConfig and isinstance(value, Mapping):
        return {name: _of_its_type(part, name) for name, part in value.items()}
    kinds = [get_origin(option) or option for option in _options(hint)]
    scalar = isinstance(value, str | int | float) and not isinstance(value, bool)
    if scalar and (list in kinds or tuple in kinds) and not {str, int, float} & set(kinds):
        return [value]
    if isinstance(value, Mapping):
        lists = {get_origin(entry_type(option)) for option in _options(hint)} & {list, tuple}
        return {n: [v] if lists and isinstance(v, str) else v for n, v in value.items()}
    return value


def _of_its_type(part: Any, name: str) -> Any:
    """Return settings of a modality; an ultrasound's name decides on a type that they lack."""
    if isinstance(part, Mapping) and "modality_type" not in part and names_ultrasound(name):
        return {"modality_type": "ultrasound", "resize": default_modality(name).resize, **part}
    return part


def _as_values(group: Any, entry: Any, name: str) -> Any:
    """Return a group of settings as a mapping; its defaults if it is None."""
    if group is None:
        group = default_modality(name) if entry is ModalityConfig else entry()
    if isinstance(group, Mapping):
        return dict(group)
    return {field.name: getattr(group, field.name) for field in fields(group)}


def _field(kind: Any, dotted: str, before: Any) -> tuple[Any, Any]:
    """Return the type of a setting, and its value before; Any and None if there is no such."""
    value = before
    for part in dotted.replace("-", "_").split("."):
        kind = group_type(kind)
        if not is_dataclass(kind):
            return Any, None
        default = next((_default(field) for field in fields(kind) if field.name == part), None)
        kind = get_type_hints(kind).get(part, Any)
        known = value.get(part) if isinstance(value, Mapping) else getattr(value, part, None)
        value = default if known is None else known
    return kind, value


def _default(field: Any) -> Any:
    """Return the default of a field; None if it has none."""
    if field.default_factory is not MISSING and not is_dataclass(field.default_factory):
        return field.default_factory()
    return None if field.default is MISSING else field.default


def _options(hint: Any) -> list[Any]:
    """Return the types of a union, without annotations."""
    options = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return [get_args(o)[0] if get_origin(o) is Annotated else o for o in options]
