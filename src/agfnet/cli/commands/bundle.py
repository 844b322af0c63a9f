"""Inspect, verify, push or pull a bundle."""

from __future__ import annotations

from agfnet import NOTICE
from agfnet.cli.command import Command
from agfnet.config import BundleActionConfig
from agfnet.errors import ConfigError
from agfnet.terminal import say, show_table


def bundle(config: BundleActionConfig) -> None:
    from agfnet.bundle import describe, read_bundle

    if config.action in ("push", "pull") and config.repo is None:
        raise ConfigError(f"repo: {config.action} needs --repo owner/name")
    if config.action == "push":
        from agfnet.hub import push

        say(f"Pushed to {push(config.folder, str(config.repo), private=config.private)}")
        return
    if config.action == "pull":
        from agfnet.hub import pull

        pull(str(config.repo), config.folder)
    read = read_bundle(config.folder)
    if config.action == "show":
        show_table(["bundle", str(read.folder)], [list(row) for row in describe(read).items()])
        say(NOTICE)
    else:
        say(f"{read.folder}: {len(read.files)} files are what was written.")


COMMAND = Command(
    BundleActionConfig,
    bundle,
    examples=(
        "agfnet bundle show runs/first",
        "agfnet bundle verify runs/first",
        "agfnet bundle pull model --repo owner/name",
    ),
    docs="export.md",
)
