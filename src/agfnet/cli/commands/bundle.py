"""Inspect, verify, push or pull a bundle, or write it in another layout."""

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
    if (config.action == "monai") != (config.out is not None):
        raise ConfigError("out: monai needs --out FOLDER; no other action takes it")
    if config.action == "push":
        from agfnet.hub import push

        say(f"Pushed to {push(config.folder, str(config.repo), private=config.private)}")
        return
    if config.action == "pull":
        from agfnet.hub import pull

        pull(str(config.repo), config.folder)
    read = read_bundle(config.folder)
    if config.action == "monai":
        from agfnet.export.monai import write_monai

        say(f"Wrote {write_monai(read, str(config.out))}. {NOTICE}")
    elif config.action == "show":
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
        "agfnet bundle monai runs/first --out skin_lesion",
        "agfnet bundle pull model --repo owner/name",
    ),
    docs="export.md",
)
