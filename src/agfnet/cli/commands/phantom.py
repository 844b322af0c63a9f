"""Render a phantom cohort."""

from __future__ import annotations

from agfnet.cli.command import Command
from agfnet.config import PhantomConfig
from agfnet.terminal import bar, say


def phantom(config: PhantomConfig) -> None:
    from agfnet.phantom.cohort import make_cohort

    with bar("rendering lesions") as progress:
        table = make_cohort(config, progress=progress)
    say(f"Wrote {table}")


COMMAND = Command(PhantomConfig, phantom)
