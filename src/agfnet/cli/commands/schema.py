"""JSON Schemas of the files."""

from __future__ import annotations

import json

from agfnet.cli.command import Command
from agfnet.config import SchemaConfig
from agfnet.errors import ConfigError
from agfnet.terminal import say


def schema(config: SchemaConfig) -> None:
    from agfnet.data.problems import near
    from agfnet.file_schemas import FILES, json_schema

    if config.file == "":
        say("\n".join(FILES))
        return
    if config.file not in FILES:
        raise ConfigError(f"no schema of {config.file!r}; {near(config.file, FILES)}")
    say(json.dumps(json_schema(config.file), indent=2))


COMMAND = Command(
    SchemaConfig,
    schema,
    examples=("agfnet schema", "agfnet schema metrics.json > metrics.schema.json"),
    docs="interchange.md",
    default_file="",
)
