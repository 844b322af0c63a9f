"""Time of the patient-level bootstrap against resampling the rows themselves.

    python bench/evaluation.py --json evaluation.json

Value: seconds of one core for all resamples of a metric over weights. Baseline: the same metric
recomputed on the repeated rows of each resample, timed on a few of them and scaled up. Then the
seconds of each file that `agfnet evaluate` writes (subgroups of two columns, malignant.json with a
validation split), against the two minutes that all may take, and the peak of memory against 2 GiB.
Ratio: baseline / value.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from agfnet.evaluation.evaluate import evaluate, evaluate_classes
from agfnet.evaluation.malignant import evaluate_group
from agfnet.evaluation.subgroups import subgroups
from agfnet.files import write_json
from agfnet.inference.predictions import Predictions
from agfnet.metrics.bootstrap import bootstrap
from agfnet.metrics.summary import METRICS, summary

SAMPLED = 3  # resamples of the baseline that are really timed
TIME, MEMORY = 120.0, 2048.0  # what all files together may take: seconds, MiB


def cohort(rows: int, classes: int) -> Predictions:
    """Random probabilities with some skill; two lesions per patient."""
    rng = np.random.default_rng(0)
    target = rng.integers(classes, size=rows)
    odds = np.exp(rng.normal(size=(rows, classes)) + 2 * np.eye(classes)[target])
    names = tuple(f"class {c}" for c in range(classes))
    return Predictions(
        classes=names,
        lesion_id=tuple(f"L{row}" for row in range(rows)),
        patient_id=tuple(f"P{row // 2}" for row in range(rows)),
        label=tuple(names[c] for c in target),
        probabilities=odds / odds.sum(axis=1, keepdims=True),
    )


def seconds(work: Callable[[], object]) -> float:
    """Processor time of one call; nothing here runs on several cores."""
    start = time.process_time()
    work()
    return time.process_time() - start


def files(cases: Predictions, resamples: int) -> dict[str, float]:
    """Seconds of each result file, of all together, and the peak of memory in MiB."""
    rows = range(len(cases))
    attributes = {
        "age": [str(20 + row % 70) for row in rows],
        "sex": ["fm"[row % 3 % 2] for row in rows],
    }
    names = cases.classes[:2]
    found = {
        "metrics.json": seconds(lambda: evaluate(cases, resamples=resamples)),
        "classes.json": seconds(lambda: evaluate_classes(cases, resamples=resamples)),
        "subgroups.json": seconds(lambda: subgroups(cases, attributes, resamples=resamples)),
        "malignant.json": seconds(
            lambda: evaluate_group(cases, names, validation=cases, resamples=resamples)
        ),
    }
    found["all files"] = sum(found.values())
    found["memory, MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--classes", type=int, default=9)
    parser.add_argument("--resamples", type=int, default=1_000)
    parser.add_argument("--json", type=Path)
    settings = parser.parse_args()
    cases = cohort(settings.rows, settings.classes)
    target = cases.target
    draws = np.random.default_rng(0).integers(len(cases), size=(SAMPLED, len(cases)))

    def copied(names: list[str]) -> float:
        def work() -> None:
            for rows in draws:
                for name in names:
                    METRICS[name](cases.probabilities[rows], target[rows])

        return seconds(work) * settings.resamples / SAMPLED

    def weighted(names: list[str]) -> float:
        statistics = summary(cases.probabilities, target, names)
        return seconds(
            lambda: bootstrap(cases.patient_id, statistics, resamples=settings.resamples)
        )

    results = []
    title = f"bootstrap of {settings.rows} rows, {settings.classes} classes"
    print(f"{title}, {settings.resamples} resamples\n")
    print(f"{'metric':<20}{'seconds':>10}{'copied rows':>14}{'ratio':>8}")
    for metric, names in [*((name, [name]) for name in METRICS), ("all", list(METRICS))]:
        value, baseline = weighted(names), copied(names)
        ratio = baseline / value
        print(f"{metric:<20}{value:>10.2f}{baseline:>14.2f}{ratio:>8.1f}")
        results.append(
            {
                "name": title,
                "metric": f"{metric} seconds",
                "value": value,
                "baseline": baseline,
                "ratio": ratio,
            }
        )
    print()
    for metric, value in files(cases, settings.resamples).items():
        unit, baseline = ("", MEMORY) if metric.startswith("memory") else (" seconds", TIME)
        print(f"{metric:<20}{value:>10.1f}{baseline:>14.0f}{baseline / value:>8.1f}")
        results.append(
            {
                "name": title,
                "metric": metric + unit,
                "value": value,
                "baseline": baseline,
                "ratio": baseline / value,
            }
        )
    if settings.json:
        write_json(settings.json, results)


if __name__ == "__main__":
    main()
