"""Networks on MILK10k under equal conditions: same cases, same split, same budget.

    python bench/milk10k.py --source FOLDER --weights FILE --json bench/results/milk10k.json

MILK10k pairs a clinical close-up with dermoscopy; it has no ultrasound. Settings are those of
configs/milk10k.yaml, with single networks. Finished runs are reused, and an interrupted run
continues.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import mean, stdev

from common import Row, finish, options, row
from resampling import paired_bootstrap

from agfnet.cli import build_parser
from agfnet.config import TrainConfig
from agfnet.data.splits import split_cases
from agfnet.data.table import read_cases, write_cases
from agfnet.evaluation.compare import paired
from agfnet.importing.milk10k import import_milk10k
from agfnet.inference.predictions import Predictions, read_predictions
from agfnet.metrics.summary import summary
from agfnet.study.run import run
from agfnet.terminal import say

METHODS = {
    "clinical only": ("concatenation", ["clinical"]),
    "dermoscopic only": ("concatenation", ["dermoscopic"]),
    "concatenation": ("concatenation", ["clinical", "dermoscopic"]),
    "AGFnet without FRL": ("agfnet", ["clinical", "dermoscopic"]),
    "AGFnet": ("agfnet", ["clinical", "dermoscopic"]),
}
BASELINE = "concatenation"
TESTED = ("balanced_accuracy", "macro_auc", "nll")
SHOWN = ("accuracy", "balanced_accuracy", "macro_auc", "nll", "ece", "aurc")


def main() -> None:
    """Make the requested runs, and compare all finished runs."""
    parser = options(__doc__)
    parser.add_argument("--source", default=os.environ.get("AGFNET_MILK10K"))
    parser.add_argument(
        "--weights", default=os.environ.get("AGFNET_WEIGHTS"), help="MobileNetV2, .safetensors"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/milk10k"))
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1])
    arguments = parser.parse_args()
    if not (arguments.source and arguments.weights):
        say("Skipped: needs --source (or AGFNET_MILK10K) and --weights (or AGFNET_WEIGHTS).")
        return
    table = arguments.runs / "split.csv"
    if not table.exists():
        import_milk10k(arguments.source, arguments.runs)
        views = ["clinical", "dermoscopic"]
        cases = split_cases(read_cases(arguments.runs / "cases.csv", modalities=views))
        write_cases(cases, table, modalities=views)
    base = settings(table, arguments.weights, arguments.runs)
    for seed in arguments.seeds:
        for method in arguments.methods:
            run(settings_of(base, method, seed), bar=False)
    finish(compare(arguments.runs), arguments, "MILK10k, test split, mean over seeds")


def settings(table: Path, weights: str, root: Path) -> TrainConfig:
    """Return the settings of configs/milk10k.yaml for this table."""
    file = Path(__file__).parents[1] / "configs" / "milk10k.yaml"
    parser = build_parser()
    arguments = ["train", "--config", str(file), "--data.cases", str(table), "--runs", str(root)]
    parsed = parser.parse_args([*arguments, f"--model.backbone.weights={weights}"])
    values = vars(parser.instantiate(parsed).train)
    return TrainConfig(**{k: v for k, v in values.items() if k not in ("config", "debug")})


def settings_of(base: TrainConfig, method: str, seed: int) -> TrainConfig:
    """Return the settings of one run."""
    network, views = METHODS[method]
    return replace(
        base,
        name=folder_of(method, seed),
        seed=seed,
        members=1,
        resume=True,
        data=replace(base.data, modalities={v: base.data.modalities[v] for v in views}),
        model=replace(base.model, method=network),
        reconstruction=replace(base.reconstruction, enabled=method == "AGFnet"),
    )


def folder_of(method: str, seed: int) -> str:
    """Return the name of a run folder."""
    return f"{method.replace(' ', '-').lower()}-{seed}"


def compare(root: Path) -> list[Row]:
    """Return the metrics of all finished runs, and their paired tests against the baseline."""
    seeds = sorted({int(p.name.rpartition("-")[2]) for p in root.glob("*-[0-9]*") if p.is_dir()})
    values: dict[str, dict[int, dict[str, float]]] = {}
    tables: dict[tuple[str, int], Predictions] = {}
    for method, seed in product(METHODS, seeds):
        folder = root / folder_of(method, seed) / "evaluation" / "test"
        if (folder / "metrics.json").is_file():
            metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
            values.setdefault(method, {})[seed] = {m: metrics[m]["value"] for m in SHOWN}
            tables[method, seed] = read_predictions(folder / "predictions.csv")
    rows = []
    for (method, runs), metric in product(values.items(), SHOWN):
        of_runs = [run[metric] for run in runs.values()]
        base = mean(run[metric] for run in values[BASELINE].values())
        sd = stdev(of_runs) if len(of_runs) > 1 else None
        rows.append(row(method, metric, mean(of_runs), base, sd=sd, seeds=sorted(runs)))
    for (method, seed), table in tables.items():
        if method != BASELINE and (BASELINE, seed) in tables:
            pair = paired(table, tables[BASELINE, seed])
            statistics = [summary(t.probabilities, t.target, TESTED) for t in (pair.a, pair.b)]
            for metric, test in paired_bootstrap(pair.a.patient_id, *statistics).items():
                name = f"{method} - {BASELINE}, seed {seed}"
                rows.append(row(name, metric, test.value, low=test.low, high=test.high, p=test.p))
    return rows


if __name__ == "__main__":
    main()
