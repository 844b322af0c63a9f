"""Serve a network as a web page and an API."""

from __future__ import annotations

from agfnet.cli.command import Command
from agfnet.config import ServeConfig


def serve(config: ServeConfig) -> None:
    from agfnet.serve.run import serve as serve_bundle

    serve_bundle(config)


COMMAND = Command(ServeConfig, serve)
