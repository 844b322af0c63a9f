"""Train one network."""

from __future__ import annotations

from agfnet.cli.command import Command
from agfnet.config import TrainConfig
from agfnet.terminal import bar, say, show_result


def train(config: TrainConfig) -> None:
    from agfnet.bundle import read_bundle
    from agfnet.calibration.fit import calibration_warnings
    from agfnet.study.run import run

    with bar("evaluating") as progress:
        folder = run(config, progress=progress)
    bundle = read_bundle(folder)
    for line in calibration_warnings(bundle.calibration, bundle.config.classes):
        say(f"Note: {line}")
    result = folder / "evaluation" / "test"
    if result.is_dir():
        show_result(result)
    else:
        say(f"Wrote {folder / 'bundle'}. The table has no test split, so nothing was evaluated.")


COMMAND = Command(TrainConfig, train)
