"""Serve a network as a web page and an API."""

from __future__ import annotations

from agfnet.cli.command import Command
from agfnet.config import ServeConfig


def serve(config: ServeConfig) -> None:
    from agfnet.serve.run import serve as serve_bundle

    serve_bundle(config)


COMMAND = Command(
    ServeConfig,
    serve,
    examples=(
        "agfnet serve runs/first",
        "agfnet serve runs/first --host 0.0.0.0 --hosts '[skin.example.org]'",
    ),
    docs="serve.md",
    main=(
        "host",
        "port",
        "hosts",
        "root_path",
        "token_file",
        "backend",
        "workers",
    ),
)
