"""Render a phantom cohort."""

from __future__ import annotations

from agfnet.cli.command import Command
from agfnet.config import PhantomConfig
from agfnet.terminal import bar, say


def phantom(config: PhantomConfig) -> None:
    with bar("rendering lesions") as progress:
        from agfnet.phantom.cohort import make_cohort

        table = make_cohort(config, progress=progress)
    say(f"Wrote {table}")


COMMAND = Command(
    PhantomConfig,
    phantom,
    examples=(
        "agfnet phantom cohort",
        "agfnet phantom cohort --preset hard --lesions 2000 --workers 2",
        "agfnet phantom cohort --ultrasound-format dicom",
    ),
    docs="phantom.md",
    main=(
        "lesions",
        "size",
        "preset",
        "seed",
        "workers",
        "split",
        "entities",
        "ultrasound_format",
    ),
)
