"""`--preset auto` against trials of Optuna that take the same time each, on phantom cohorts.

    python bench/presets.py --lesions 100 1000 5000 --trials 20 --minutes 20 --json presets.json

On each cohort, `auto` is trained once with the time limit. Then Optuna (TPE) draws settings of the
same backbone: whole or frozen, image size, learning rates, batch size, dropout, moving average.
A trial gets as many epochs as fit into the time, from the same measurement of a few steps. Trials
are compared by their balanced accuracy on the validation split; the best one is then, like `auto`,
evaluated on the test split, so that the choice does not favour either. Rows: balanced accuracy of
`auto` (value) and of the best trial (baseline) on both splits, for each cohort. A cohort has this
number of lesions for training (80 %) and validation, and 600 more for the test, without which a
difference of two points could not be seen. Time is that of the CPU with one thread, so that other
work on the machine favours neither. The runs are kept in `--out`, and finished ones are not
repeated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import optuna
import torch
from common import Row, drawn_cohort, finish, options, row
from runs import plan_by_time_of_the_cpu, tested

from agfnet.config import DataConfig, TrainConfig
from agfnet.config.dotted import with_value
from agfnet.evaluation.calibrate import calibrate_run
from agfnet.evaluation.inputs import VALIDATION
from agfnet.inference.predictions import Predictions, read_predictions
from agfnet.metrics.summary import METRICS
from agfnet.study.run import train
from agfnet.training.presets import Plan, as_record, make_plan
from agfnet.training.timing import measure_speed

MAX_EPOCHS = 200
FROZEN_VARIANTS = 8


def balanced_accuracy(cases: Predictions) -> float:
    """Return the balanced accuracy of labelled predictions."""
    return float(METRICS["balanced_accuracy"](cases.probabilities, cases.target))


def trained(config: TrainConfig, plan: Plan | None = None) -> Path:
    """Train and calibrate a run, or return the finished one."""
    choices = as_record(plan) if plan else ()
    folder = train(replace(config, resume=True), plan=choices, bar=False)
    if not (folder / VALIDATION).is_file():
        calibrate_run(folder)
    return folder


def validated(folder: Path) -> float:
    """Return the balanced accuracy of a run on its validation split."""
    return balanced_accuracy(read_predictions(folder / VALIDATION).labelled())


def drawn(trial: optuna.Trial, base: TrainConfig, seconds: float) -> TrainConfig:
    """Return the settings of a trial that takes about this number of seconds."""
    frozen = trial.suggest_categorical("frozen", [False, True])
    values = {
        "data.size": trial.suggest_categorical("size", [64, 96, 128, 160]),
        "optim.lr": trial.suggest_float("lr", 1e-4, 5e-3, log=True),
        "optim.batch_size": trial.suggest_categorical("batch_size", [8, 16, 32]),
        "optim.ema": trial.suggest_categorical("ema", [None, 0.99, 0.999]),
        "model.dropout": trial.suggest_float("dropout", 0.0, 0.5),
        "model.fusion.average": trial.suggest_categorical("average", [False, True]),
    }
    base = with_value(base, "data.feature_variants", 0)  # which only frozen backbones may have
    base = with_value(base, "members", 1)
    values["model.backbone.frozen"] = frozen
    if frozen:
        values["data.feature_variants"] = FROZEN_VARIANTS
    else:
        values["optim.backbone_lr"] = trial.suggest_float("backbone_lr", 0.03, 1.0, log=True)
    for name, value in values.items():
        base = with_value(base, name, value)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    speed = measure_speed(base, device)
    first, both = (speed.seconds(with_value(base, "optim.epochs", n)) for n in (1, 2))
    epochs = 1 + (seconds - first) / (both - first)
    return with_value(base, "optim.epochs", min(MAX_EPOCHS, max(1, int(epochs))))


def cohort_rows(lesions: int, trials: int, minutes: float, preset: str, out: Path) -> Iterator[Row]:
    """Yield the rows of one cohort."""
    table = drawn_cohort(out / f"cohort-{lesions}", lesions, preset=preset)
    base = TrainConfig(data=DataConfig(cases=str(table)), runs=str(out / f"runs-{lesions}"))
    plan = make_plan(base, {"data.cases", "runs", "name"}, time_limit=minutes)
    auto = trained(replace(plan.config, name="auto"), plan)
    scores: dict[str, float] = {}

    def objective(trial: optuna.Trial) -> float:
        config = drawn(trial, plan.config, 60 * minutes)
        run = trained(replace(config, name=f"trial-{trial.number}"))
        scores[run.name] = validated(run)
        return scores[run.name]

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=lesions)
    )
    search.optimize(objective, n_trials=trials)
    best = Path(base.runs) / max(scores, key=lambda name: scores[name])
    name = f"{lesions} lesions, {trials} trials of {minutes:g} minutes"
    yield row(name, "balanced accuracy, validation", validated(auto), max(scores.values()))
    on_test = [balanced_accuracy(tested(run)) for run in (auto, best)]
    yield row(name, "balanced accuracy, test", *on_test)


def main() -> None:
    """Run the comparison."""
    parser = options(__doc__)
    parser.add_argument("--lesions", type=int, nargs="+", default=[100, 1000, 5000])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=20.0, help="time of each training")
    parser.add_argument("--phantom", default="hard", help="preset of the cohort")
    parser.add_argument("--out", type=Path, default=Path("runs/presets"))
    arguments = parser.parse_args()
    plan_by_time_of_the_cpu()
    rows = [
        each
        for lesions in arguments.lesions
        for each in cohort_rows(
            lesions, arguments.trials, arguments.minutes, arguments.phantom, arguments.out
        )
    ]
    finish(rows, arguments, "auto (value) and the best trial (baseline)")


if __name__ == "__main__":
    main()
