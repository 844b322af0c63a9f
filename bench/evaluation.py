"""Speed of the patient-level bootstrap, against resampling the rows themselves.

    python bench/evaluation.py --json evaluation.json

First the seconds on one core for all resamples of a metric, computed from case weights. Baseline:
the same metric computed on the repeated rows of each resample, timed on a few of them and scaled
up. Then the seconds of each file that `agfnet evaluate` writes (subgroups of two columns,
malignant.json with a validation split), against the limit of two minutes for all of them, and the
peak memory, against the limit of 2 GiB. Ratio: baseline / value.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

import numpy as np
from common import finish, options, row

from agfnet.evaluation.evaluate import evaluate, evaluate_classes
from agfnet.evaluation.malignant import evaluate_group
from agfnet.evaluation.subgroups import subgroups
from agfnet.inference.predictions import Predictions
from agfnet.metrics.bootstrap import bootstrap
from agfnet.metrics.summary import METRICS, summary

SAMPLED = 3  # resamples of the baseline that are timed
MAX_SECONDS, MAX_MIB = 120.0, 2048.0  # for all files together


def cohort(rows: int, classes: int) -> Predictions:
    """Draw probabilities of a network with some skill; two lesions per patient."""
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
    """Return the processor time of one call; nothing here runs on several cores."""
    start = time.process_time()
    work()
    return time.process_time() - start


def files(cases: Predictions, resamples: int) -> dict[str, float]:
    """Return the seconds of each result file and of all together, and the peak memory in MiB."""
    rows = range(len(cases))
    attributes = {
        "age": [str(20 + row % 70) for row in rows],
        "sex": ["fm"[row % 3 % 2] for row in rows],
    }
    names = cases.classes[:2]
    costs = {
        "metrics.json": seconds(lambda: evaluate(cases, resamples=resamples)),
        "classes.json": seconds(lambda: evaluate_classes(cases, resamples=resamples)),
        "subgroups.json": seconds(lambda: subgroups(cases, attributes, resamples=resamples)),
        "malignant.json": seconds(
            lambda: evaluate_group(cases, names, validation=cases, resamples=resamples)
        ),
    }
    costs["all files"] = sum(costs.values())
    costs["memory, MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return costs


def main() -> None:
    """Time every metric and every result file."""
    parser = options(__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--classes", type=int, default=9)
    parser.add_argument("--resamples", type=int, default=1_000)
    arguments = parser.parse_args()
    cases = cohort(arguments.rows, arguments.classes)
    target = cases.target
    draws = np.random.default_rng(0).integers(len(cases), size=(SAMPLED, len(cases)))

    def on_rows(names: list[str]) -> float:
        def work() -> None:
            for rows in draws:
                for name in names:
                    METRICS[name](cases.probabilities[rows], target[rows])

        return seconds(work) * arguments.resamples / SAMPLED

    def on_weights(names: list[str]) -> float:
        statistics = summary(cases.probabilities, target, names)
        return seconds(
            lambda: bootstrap(cases.patient_id, statistics, resamples=arguments.resamples)
        )

    title = f"bootstrap of {arguments.rows} rows, {arguments.classes} classes"
    measured = [
        (f"{metric} seconds", on_weights(names), on_rows(names))
        for metric, names in [*((name, [name]) for name in METRICS), ("all", list(METRICS))]
    ]
    for metric, value in files(cases, arguments.resamples).items():
        is_memory = metric.startswith("memory")
        limit = MAX_MIB if is_memory else MAX_SECONDS
        measured.append((metric if is_memory else f"{metric} seconds", value, limit))
    rows = [row(title, name, value, base, ratio=base / value) for name, value, base in measured]
    finish(rows, arguments, f"{arguments.resamples} resamples")


if __name__ == "__main__":
    main()
