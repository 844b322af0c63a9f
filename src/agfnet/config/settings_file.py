"""Settings from a YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from agfnet.errors import ConfigError


class _Loader(yaml.SafeLoader):
    """Refuses a key that occurs twice, where YAML silently takes the last."""

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


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping, in UTF-8, or in UTF-16 with a byte order mark.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or holds something else.
    """
    try:
        content = yaml.load(path.read_bytes(), _Loader)
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
