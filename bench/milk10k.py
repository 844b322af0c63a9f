"""Networks on MILK10k under equal conditions: same cases, same split, same budget.

    python bench/milk10k.py --source FOLDER --weights FILE --json bench/results/milk10k.json

MILK10k pairs a clinical close-up with dermoscopy; it has no ultrasound. Settings are those of
configs/milk10k.yaml. Runs that are finished are not made again, and a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

from agfnet.cli import build_parser
from agfnet.config import TrainConfig
from agfnet.data.splits import split_cases
from agfnet.data.table import read_cases, write_cases
from agfnet.evaluation.compare import paired
from agfnet.files import write_json
from agfnet.importing.milk10k import import_milk10k
from agfnet.inference.predictions import Predictions, read_predictions
from agfnet.metrics.bootstrap import paired_bootstrap
from agfnet.metrics.summary import summary
from agfnet.study.run import run
from agfnet.terminal import say, show_table

METHODS = {
    "clinical only": ("concatenation", ["clinical"]),
    "dermoscopic only": ("concatenation", ["dermoscopic"]),
    "concatenation": ("concatenation", ["clinical", "dermoscopic"]),
    "AGFnet without FRL": ("agfnet", ["clinical", "dermoscopic"]),
    "AGFnet": ("agfnet", ["clinical", "dermoscopic"]),
}
BASELINE = "concatenation"
SHOWN = ("accuracy", "balanced_accuracy", "macro_auc", "nll", "ece", "aurc")


def main() -> None:
    """Make the runs that were asked for, and the table of all runs that are finished."""
    arguments = parse()
    if not (arguments.source and arguments.weights):
        say("Skipped: needs --source (or AGFNET_MILK10K) and --weights (or AGFNET_WEIGHTS).")
        return
    root = Path(arguments.runs)
    table = root / "split.csv"
    if not table.exists():
        import_milk10k(arguments.source, root)
        views = ["clinical", "dermoscopic"]
        cases = split_cases(read_cases(root / "cases.csv", modalities=views))
        write_cases(cases, table, modalities=views)
    base = settings(table, arguments.weights, root)
    for seed in arguments.seeds:
        for method in arguments.methods:
            run(one(base, method, seed), bar=False)
    rows = compare(root)
    if arguments.json:
        write_json(Path(arguments.json), rows)


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default=os.environ.get("AGFNET_MILK10K"))
    parser.add_argument(
        "--weights", default=os.environ.get("AGFNET_WEIGHTS"), help="MobileNetV2, .safetensors"
    )
    parser.add_argument("--runs", default="runs/milk10k")
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1])
    parser.add_argument("--json")
    return parser.parse_args()


def settings(table: Path, weights: str, root: Path) -> TrainConfig:
    """configs/milk10k.yaml on this table."""
    file = Path(__file__).parents[1] / "configs" / "milk10k.yaml"
    parser = build_parser()
    arguments = ["train", "--config", str(file), "--data.cases", str(table), "--runs", str(root)]
    chosen = parser.parse_args([*arguments, f"--model.backbone.weights={weights}"])
    values = vars(parser.instantiate(chosen).train)
    return TrainConfig(**{k: v for k, v in values.items() if k not in ("config", "debug")})


def one(base: TrainConfig, method: str, seed: int) -> TrainConfig:
    """The settings of one run."""
    network, views = METHODS[method]
    return replace(
        base,
        name=name(method, seed),
        seed=seed,
        resume=True,
        data=replace(base.data, modalities={v: base.data.modalities[v] for v in views}),
        model=replace(base.model, method=network),
        reconstruction=replace(base.reconstruction, enabled=method == "AGFnet"),
    )


def name(method: str, seed: int) -> str:
    """Name of a run folder."""
    return f"{method.replace(' ', '-').lower()}-{seed}"


def compare(root: Path) -> list[dict[str, object]]:
    """Print and return the figures of all finished runs, and paired tests against the baseline."""
    seeds = sorted({int(p.name.rpartition("-")[2]) for p in root.glob("*-[0-9]*") if p.is_dir()})
    found: dict[str, dict[int, dict[str, float]]] = {}
    tables: dict[tuple[str, int], Predictions] = {}
    for method in METHODS:
        for seed in seeds:
            folder = root / name(method, seed) / "evaluation" / "test"
            if (folder / "metrics.json").is_file():
                metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
                found.setdefault(method, {})[seed] = {m: metrics[m]["value"] for m in SHOWN}
                tables[method, seed] = read_predictions(folder / "predictions.csv")
    rows: list[dict[str, object]] = []
    printed = []
    for method, runs in found.items():
        line = [method, len(runs)]
        for metric in SHOWN:
            values = [run[metric] for run in runs.values()]
            base = mean(run[metric] for run in found[BASELINE].values())
            spread = stdev(values) if len(values) > 1 else None
            rows.append(
                {
                    "name": method,
                    "metric": metric,
                    "value": mean(values),
                    "baseline": base,
                    "ratio": mean(values) / base,
                    "sd": spread,
                    "seeds": sorted(runs),
                }
            )
            line.append(f"{mean(values):.3f}" + (f" ± {spread:.3f}" if spread else ""))
        printed.append(line)
    show_table(["method", "seeds", *SHOWN], printed, "MILK10k, test split, mean ± sd over seeds")
    for (method, seed), table in tables.items():
        if method != BASELINE and (BASELINE, seed) in tables:
            pair = paired(table, tables[BASELINE, seed])
            compared = ("balanced_accuracy", "macro_auc", "nll")
            statistics = [summary(t.probabilities, t.target, compared) for t in (pair.a, pair.b)]
            tests = paired_bootstrap(pair.a.patient_id, *statistics)
            for metric, test in tests.items():
                rows.append(
                    {
                        "name": f"{method} - {BASELINE}, seed {seed}",
                        "metric": metric,
                        "value": test.value,
                        "low": test.low,
                        "high": test.high,
                        "p": test.p,
                    }
                )
    tested = [row for row in rows if "p" in row]
    show_table(
        ["difference", "metric", "value", "low", "high", "p"],
        [
            [r["name"], r["metric"], *(f"{r[k]:+.3f}" for k in ("value", "low", "high", "p"))]
            for r in tested
        ],
        "Paired bootstrap over the same test cases",
    )
    return rows


if __name__ == "__main__":
    main()
