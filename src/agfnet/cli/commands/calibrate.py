"""Calibrate a run again."""

from __future__ import annotations

from agfnet.cli.command import CASES_COLUMNS, Command
from agfnet.cli.notes import show_notes
from agfnet.cli.threads import choose_threads
from agfnet.config import CalibrateConfig
from agfnet.terminal import bar, say, show_warnings


def calibrate(config: CalibrateConfig) -> None:
    with bar("calibrating") as progress:
        from agfnet.bundle import read_bundle
        from agfnet.evaluation.calibrate import calibrate_run
        from agfnet.evaluation.network_warnings import read_warnings

        choose_threads()
        calibrate_run(config.run, config=config.calibration, cases=config.cases, progress=progress)
    bundle = read_bundle(config.run)
    show_notes(bundle)
    show_warnings(read_warnings(config.run))
    say(f"Wrote the calibration of {bundle.folder}.")
    say(f"Next: agfnet evaluate {config.run}")


COMMAND = Command(
    CalibrateConfig,
    calibrate,
    examples=(
        "agfnet calibrate runs/first",
        "agfnet calibrate runs/first --calibration.coverage 0.9",
    ),
    docs="evaluation.md",
    columns=CASES_COLUMNS,
    extra="train",
)
