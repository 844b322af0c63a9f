"""Train one network."""

from __future__ import annotations

from agfnet.cli.command import CASES_COLUMNS, Command
from agfnet.config import TrainConfig
from agfnet.terminal import bar, next_steps, say, show_result


def train(config: TrainConfig) -> None:
    with bar("loading"):
        from agfnet.bundle import read_bundle
        from agfnet.calibration.fit import calibration_warnings
        from agfnet.study.run import run

    say(f"Training {config.name} on {config.data.cases}")
    with bar("evaluating", at_once=False) as progress:
        folder = run(config, progress=progress)
    bundle = read_bundle(folder)
    for line in calibration_warnings(bundle.calibration, bundle.config.classes):
        say(f"Note: {line}")
    result = folder / "evaluation" / "test"
    if result.is_dir():
        show_result(result)
    else:
        say(f"Wrote {folder / 'bundle'}. The table has no test split, so nothing was evaluated.")
    say(next_steps(folder, bundle.config.modalities))


COMMAND = Command(
    TrainConfig,
    train,
    examples=(
        "agfnet train --data.cases data.csv --name first",
        "agfnet train --data.cases data.csv --optim.epochs 30 --data.size 160",
        "agfnet train --data.cases data.csv --data.modalities '[clinical]'",
        "agfnet train --config settings.yaml --name first --resume",
    ),
    docs="method.md",
    columns=CASES_COLUMNS,
    main=(
        "data.cases",
        "data.modalities",
        "data.fold",
        "data.size",
        "name",
        "model.method",
        "model.backbone.name",
        "optim.epochs",
        "optim.batch_size",
        "optim.lr",
        "resume",
    ),
    extra="train",
)
