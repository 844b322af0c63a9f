"""Settings from a YAML file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from agfnet.errors import ConfigError

_TEXT = "tag:yaml.org,2002:str"
_NULL = "tag:yaml.org,2002:null"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class Loader(yaml.SafeLoader):
    """Reads `yes`, `no`, `on` and `off` as words, and refuses a key that occurs twice.

    Labels and names are text as they are written, numbers and `true` too.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping; an error names the line of the second key."""
        seen: set[Any] = set()
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key.rpartition(".")[2] in ("labels", "name"):
                _read_as_text(value_node)
            if isinstance(key, str) and key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key!r} occurs twice; keep one", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _read_as_text(node: yaml.Node) -> None:
    """Turn the scalars of a node into text, except null."""
    if isinstance(node, yaml.ScalarNode):
        node.tag = node.tag if node.tag == _NULL else _TEXT
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _read_as_text(item)
    elif isinstance(node, yaml.MappingNode):
        for pair in node.value:
            for item in pair:
                _read_as_text(item)


_YAML_1_2 = {
    "tag:yaml.org,2002:bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "tag:yaml.org,2002:int": (r"[-+]?(?:0|[1-9][0-9_]*)|0x[0-9a-fA-F]+", "-+0123456789"),
    "tag:yaml.org,2002:float": (
        r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
}
"""Types that YAML 1.1 reads otherwise: `010` is 8 there, `1:30` is 90, and `1e-3` is text.
Nor has YAML 1.2 dates."""


class NumberLoader(yaml.SafeLoader):
    """Reads numbers as `Loader` does, and `yes` and `no` as true and false."""


def _take_yaml_1_2(loader: type[yaml.SafeLoader], tags: Iterable[str]) -> None:
    """Make a loader read the types of some tags as YAML 1.2 does."""
    loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in pairs if tag not in (*tags, _TIMESTAMP)]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    for tag in tags:
        pattern, first = _YAML_1_2[tag]
        loader.add_implicit_resolver(tag, re.compile(f"(?:{pattern})$"), list(first))


_take_yaml_1_2(Loader, _YAML_1_2)
_take_yaml_1_2(NumberLoader, [tag for tag in _YAML_1_2 if not tag.endswith(":bool")])


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping, in UTF-8, or in UTF-16 with a byte order mark.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or holds something else.
    """
    try:
        content = yaml.load(path.read_bytes(), Loader)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); name a YAML file") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise ConfigError(f"{where}: cannot be read as YAML: {error.problem}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{path}: cannot be read as YAML ({' '.join(str(error).split())}); save it as UTF-8"
        ) from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected a mapping, lines of the form `name: value`")
    names = Counter(dotted_names(content))
    if repeated := [name for name, count in names.items() if count > 1]:
        raise ConfigError(f"{path}: {repeated[0]!r} occurs twice; keep one")
    return content


def dotted_names(values: Mapping[Any, Any], group: str = "") -> Iterator[str]:
    """Yield the dotted names of all settings, whether they are written nested or not."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from dotted_names(value, f"{group}{name}.")
        else:
            yield f"{group}{name}"
