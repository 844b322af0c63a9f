"""Whole networks or frozen backbones, larger images or more epochs: what a short training gains.

    python bench/time_budget.py --lesions 100 --seed 1 whole,96,9,8,0.003 frozen,96,25,8,0.004

The rules of `--preset auto` for short trainings were chosen by this. A training is given as whole
or frozen, pixels, epochs, batch size and learning rate; its other settings are those of `auto`, and
frozen backbones have eight variants of an image, or one with `frozen-1`. The cohort is one of the
`hard` phantom with this number of lesions for training (80 %) and validation and 600 more for the
test, or, with `--cases`, a table with a split. For each training, the rows have the balanced
accuracy and the macro AUC on the test split, and the seconds of the CPU that it took with one
thread; kept maps are computed in the first training that needs them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from common import Row, drawn_cohort, finish, options, row

from agfnet.bundle import read_bundle
from agfnet.config import CalibrationConfig, DataConfig, TrainConfig
from agfnet.config.dotted import with_value
from agfnet.evaluation.calibrate import neutral_predictor
from agfnet.evaluation.members import predict_untrained
from agfnet.metrics.summary import METRICS
from agfnet.training.cases import read_table, select_cases
from agfnet.training.fit import fit
from agfnet.training.presets import average, make_plan

# decided here, not by `auto`
OPEN = ("data.size", "optim.epochs", "model.backbone.frozen", "members")


def settings(text: str, base: TrainConfig, lesions: int) -> TrainConfig:
    """Return the settings of a training that was given as text."""
    kind, size, epochs, batch, rate = text.split(",")
    steps = int(epochs) * lesions / int(batch)
    values = {
        "model.backbone.frozen": kind != "whole",
        "data.feature_variants": {"whole": 0, "frozen": 8, "frozen-1": 1}[kind],
        "data.size": int(size),
        "optim.epochs": int(epochs),
        "optim.batch_size": int(batch),
        "optim.lr": float(rate),
        "optim.ema": average(steps),
    }
    for name in sorted(values, reverse=True):  # variants last: whole networks have none
        base = with_value(base, name, values[name])
    return base


def measured(text: str, config: TrainConfig) -> Iterator[Row]:
    """Train and test; yield the rows."""
    start = time.process_time()
    bundle = read_bundle(fit(config, progress=False))
    seconds = time.process_time() - start
    predictor = neutral_predictor(bundle, CalibrationConfig(flips=False), None)
    cases = [case for case in read_table(config.data).cases if case.split == "test"]
    answers = predict_untrained(predictor, cases, [frozenset()]).labelled()
    for metric in ("balanced_accuracy", "macro_auc"):
        value = METRICS[metric](answers.probabilities, answers.target)
        yield row(text, metric.replace("_", " "), float(value), seconds=seconds)


def main() -> None:
    """Run the trainings."""
    parser = options(__doc__)
    parser.add_argument("trainings", nargs="+")
    parser.add_argument("--lesions", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1, help="of the cohort")
    parser.add_argument("--cases", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[Row] = []
    with TemporaryDirectory() as folder:
        table = arguments.cases
        if table is None:
            cohort = Path(folder) / "cohort"
            table = drawn_cohort(cohort, arguments.lesions, preset="hard", seed=arguments.seed)
        base = TrainConfig(data=DataConfig(cases=str(table)), runs=f"{folder}/runs")
        base = make_plan(base, {"data.cases", "runs", *OPEN}, time_limit=1000).config
        lesions = len(select_cases(read_table(base.data), base).train)
        for number, text in enumerate(arguments.trainings):
            config = replace(settings(text, base, lesions), name=str(number))
            rows += measured(text, config)
    finish(rows, arguments, "short trainings")


if __name__ == "__main__":
    main()
