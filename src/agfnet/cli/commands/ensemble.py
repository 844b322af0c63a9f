"""Join runs to an ensemble."""

from __future__ import annotations

from agfnet.cli.command import Command
from agfnet.cli.notes import show_notes
from agfnet.config import EnsembleConfig
from agfnet.terminal import bar, next_steps, say, show_warnings


def ensemble(config: EnsembleConfig) -> None:
    with bar("calibrating") as progress:
        from agfnet.bundle import read_bundle
        from agfnet.evaluation.ensemble import join_runs
        from agfnet.evaluation.network_warnings import read_warnings

        folder = join_runs(config, progress=progress)
    bundle = read_bundle(folder)
    show_notes(bundle)
    show_warnings(read_warnings(folder))
    say(f"Wrote {folder}: {bundle.config.members} networks, calibrated on lesions that they were")
    say("not trained on. A prediction takes as long as with all of them.")
    say(next_steps(folder, dict.fromkeys(bundle.config.modalities, "FILE")))


COMMAND = Command(
    EnsembleConfig,
    ensemble,
    examples=(
        "agfnet ensemble runs/fold0 runs/fold1 runs/fold2 --out runs/ensemble",
        "agfnet ensemble runs/seed0 runs/seed1 --out runs/ensemble",
    ),
    docs="evaluation.md",
    extra="train",
)
