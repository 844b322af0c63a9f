"""Settings from a YAML file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from agfnet.errors import ConfigError


class Loader(yaml.SafeLoader):
    """Reads `yes`, `no`, `on` and `off` as words, and refuses a key that occurs twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping; an error names the line of the second key."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key!r} occurs twice; keep one", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag != "tag:yaml.org,2002:bool"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("true|True|TRUE|false|False|FALSE"), list("tTfF")
)


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
    return content
