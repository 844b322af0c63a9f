"""Accuracy of a small network on every preset of the phantom, against the Bayes-optimal accuracy.

    python bench/phantom_limits.py --json bench/results/phantom_limits.json

Trains the demo's concatenation network from random weights on the photograph, on the ultrasound
and on both. `p` is the one-sided binomial probability of an accuracy this high if the Bayes-optimal
accuracy is right: a small p would mean that the images reveal more than the phenotypes, a defect of
the cohort. Existing cohorts and runs in `--out` are reused.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from common import finish, options, row
from scipy.stats import binomtest

from agfnet.config import DemoConfig, PhantomConfig
from agfnet.demo import PHOTO, SPLIT, ULTRASOUND, base_settings, concatenation
from agfnet.inference.predictions import read_predictions
from agfnet.phantom.cohort import make_cohort
from agfnet.phantom.presets import PRESETS
from agfnet.report.description import optimal_accuracy
from agfnet.study.run import run

VIEWS = {"clinical": PHOTO, "ultrasound": ULTRASOUND, "both": PHOTO | ULTRASOUND}


def main() -> None:
    """Make the cohorts and runs that do not exist yet, and compare."""
    parser = options(__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/phantom_limits"))
    parser.add_argument("--presets", nargs="*", default=list(PRESETS), choices=list(PRESETS))
    parser.add_argument("--lesions", type=int, default=1500)
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    rows = []
    for preset in arguments.presets:
        folder = arguments.out / preset
        table = folder / "cohort" / "cases.csv"
        if not table.exists():
            cohort = PhantomConfig(
                out=str(table.parent),
                preset=preset,
                lesions=arguments.lesions,
                size=64,
                split=SPLIT,
            )
            make_cohort(cohort)
        base = base_settings(DemoConfig(out=str(folder), epochs=arguments.epochs), table)
        for view, modalities in VIEWS.items():
            settings = replace(concatenation(base, view, modalities), resume=True)
            predictions = read_predictions(
                run(settings, bar=False) / "evaluation" / "test" / "predictions.csv"
            )
            n = len(predictions)
            correct = int((predictions.target == predictions.probabilities.argmax(axis=1)).sum())
            limit = optimal_accuracy(table, tuple(modalities), "test")
            assert limit is not None  # a phantom cohort states it
            p = binomtest(correct, n, limit, alternative="greater").pvalue
            rows.append(row(f"{preset}, {view}", "accuracy", correct / n, limit, n=n, p=p))
    finish(rows, arguments, "Test accuracy, against the Bayes-optimal accuracy")


if __name__ == "__main__":
    main()
