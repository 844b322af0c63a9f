"""A small network on every preset of the phantom cohort, against the best reachable accuracy.

    python bench/phantom_limits.py --json bench/results/phantom_limits.json

Trains the demo's concatenation network from random weights on the photograph, on the ultrasound
and on both. `p` is the one-sided binomial probability of so high an accuracy if the limit holds: a
small one would mean that the images give away more than the phenotypes, a fault of the cohort.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from scipy.stats import binomtest

from agfnet.config import DemoConfig, PhantomConfig
from agfnet.demo import PHOTO, SPLIT, ULTRASOUND, base_settings, concatenation
from agfnet.evaluation.inputs import optimal_accuracy
from agfnet.files import write_json
from agfnet.inference.predictions import read_predictions
from agfnet.phantom.cohort import make_cohort
from agfnet.phantom.presets import PRESETS
from agfnet.study.run import run
from agfnet.terminal import show_table

VIEWS = {"clinical": PHOTO, "ultrasound": ULTRASOUND, "both": PHOTO | ULTRASOUND}


def main() -> None:
    """Make cohorts and runs that are not there yet, then the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="runs/phantom_limits")
    parser.add_argument("--presets", nargs="*", default=list(PRESETS), choices=list(PRESETS))
    parser.add_argument("--lesions", type=int, default=1500)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    rows = []
    for preset in arguments.presets:
        folder = Path(arguments.out) / preset
        table = folder / "cohort" / "cases.csv"
        if not table.exists():
            make_cohort(
                PhantomConfig(
                    out=str(table.parent),
                    preset=preset,
                    lesions=arguments.lesions,
                    size=64,
                    split=SPLIT,
                )
            )
        base = base_settings(DemoConfig(out=str(folder), epochs=arguments.epochs), table)
        for view, modalities in VIEWS.items():
            settings = replace(concatenation(base, view, modalities), resume=True)
            done = run(settings, bar=False)
            table_of = read_predictions(done / "evaluation" / "test" / "predictions.csv")
            right = int((table_of.target == table_of.probabilities.argmax(axis=1)).sum())
            limit = optimal_accuracy(table, tuple(modalities), "test")
            assert limit is not None  # a phantom cohort states it
            rows.append(
                {
                    "name": f"{preset}, {view}",
                    "metric": "accuracy",
                    "value": right / len(table_of),
                    "baseline": limit,
                    "ratio": right / len(table_of) / limit,
                    "n": len(table_of),
                    "p": binomtest(right, len(table_of), limit, alternative="greater").pvalue,
                }
            )
    show_table(
        ["cohort, view", "accuracy", "limit", "ratio", "n", "p"],
        [
            [
                row["name"],
                *(f"{row[k]:.3f}" for k in ("value", "baseline", "ratio")),
                row["n"],
                f"{row['p']:.2f}",
            ]
            for row in rows
        ],
        "Test accuracy of a small network against the best reachable",
    )
    if arguments.json:
        write_json(Path(arguments.json), rows)


if __name__ == "__main__":
    main()
