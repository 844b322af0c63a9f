"""Prediction sets that a clinician can rely on, compared in a simulation and on trained networks.

    python bench/prediction_sets.py --runs RUN RUN ... --json prediction_sets.json

Each rule is fitted on a validation split and applied to a test split: the score (`lac`, `aps`,
`raps`), the coverage, whether classes of 10 % or more are always in the set ("and 10 %"), and for
comparison `aps` with randomisation and the former default, `lac` 90 % with empty sets shown as
their most probable class. For each rule: coverage, coverage of the least covered class,
coverage of the most uncertain third of the lesions, fraction of the lesions whose second class is
right and whose set has it, mean size, mean size in the most uncertain third, fraction of sets with
one class in this third, and fraction of empty sets before they are filled. Runs need
`validation.csv` and `evaluation/test/predictions.csv`. The rows of runs have names of their folders
and of the study; runs of the same method are averaged.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from common import Row, finish, options, row
from scipy.special import softmax

from agfnet.bundle import PredictionSets
from agfnet.calibration.conformal import fit_sets, patient_quantile
from agfnet.config import SetScore
from agfnet.evaluation.inputs import VALIDATION
from agfnet.inference.postprocessing import prediction_set, set_scores
from agfnet.inference.predictions import Predictions, read_predictions
from agfnet.metrics.metric import Booleans

SCORES: tuple[SetScore, ...] = ("lac", "aps", "raps")
COVERAGES = (0.9, 0.95)
CONSIDER = 0.1
FEW = 10  # lesions below which the coverage of a class is not compared
RANDOMISED = "aps, randomised"
FORMER = "former default"


def simulated(rng: np.random.Generator, lesions: int, classes: int = 7) -> Predictions:
    """Draw lesions whose probabilities are right, most of them certain and some uncertain."""
    certainty = rng.choice([1.0, 3.0, 7.0], p=[0.1, 0.2, 0.7], size=(lesions, 1))
    probabilities = softmax(certainty * rng.normal(size=(lesions, classes)), axis=1)
    target = (rng.random((lesions, 1)) > probabilities.cumsum(axis=1)[:, :-1]).sum(axis=1)
    names = tuple(f"class {c}" for c in range(classes))
    ids = tuple(map(str, range(lesions)))
    label = tuple(names[c] for c in target)
    return Predictions(
        classes=names, lesion_id=ids, patient_id=ids, label=label, probabilities=probabilities
    )


def rules(fitting: Predictions, cases: Predictions) -> Iterator[tuple[str, Booleans, float]]:
    """Yield name, sets (N, C) and fraction of empty sets before filling, of every rule."""
    for coverage in COVERAGES:
        for score in SCORES:
            for consider in (1.0, CONSIDER):
                sets = fit_sets(fitting, score=score, coverage=coverage, consider=consider)
                extra = " and 10 %" if consider < 1 else ""
                members = prediction_set(cases.probabilities, sets)
                assert members is not None
                yield f"{score} {coverage:.0%}{extra}", members, empty_fraction(cases, sets)
        yield f"{RANDOMISED} {coverage:.0%}", *randomised(fitting, cases, coverage)
    yield FORMER, *former_default(fitting, cases)


def empty_fraction(cases: Predictions, sets: PredictionSets) -> float:
    """Return the fraction of cases without any class within the quantile."""
    scores = set_scores(cases.probabilities, score=sets.score, penalty=sets.penalty, rank=sets.rank)
    quantiles = np.array([np.inf if q is None else q for q in sets.quantiles])
    return float((scores > quantiles + 1e-9).all(axis=1).mean())


def former_default(fitting: Predictions, cases: Predictions) -> tuple[Booleans, float]:
    """Return the sets of `lac` 90 %, with the most probable class where they are empty."""
    sets = fit_sets(fitting, score="lac", coverage=0.9)
    scores = set_scores(cases.probabilities, score="lac")
    members = scores <= np.array([np.inf if q is None else q for q in sets.quantiles])
    members[np.arange(len(members)), cases.probabilities.argmax(axis=1)] = True
    return members, empty_fraction(cases, sets)


def randomised(fitting: Predictions, cases: Predictions, coverage: float) -> tuple[Booleans, float]:
    """Return the sets of APS as published, with a random part of the class's own probability."""
    rng = np.random.default_rng(0)

    def scores(table: Predictions) -> np.ndarray:
        part = rng.random((len(table), 1)) * table.probabilities
        return set_scores(table.probabilities, score="aps") + part

    true = scores(fitting)[np.arange(len(fitting)), fitting.target]
    quantile = patient_quantile(true, np.array(fitting.patient_id), coverage)
    members = scores(cases) <= (np.inf if quantile is None else quantile)
    return members, float((~members.any(axis=1)).mean())


def judged(cases: Predictions, members: Booleans) -> dict[str, float]:
    """Return the measures of the sets of labelled cases."""
    target, order = cases.target, np.argsort(-cases.probabilities, axis=1)
    covered = members[np.arange(len(target)), target]
    confidence = cases.probabilities.max(axis=1)
    uncertain = confidence <= np.quantile(confidence, 1 / 3)
    second = order[:, 1] == target
    counts = np.bincount(target, minlength=len(cases.classes))
    by_class = [covered[target == c].mean() for c in np.flatnonzero(counts >= FEW)]
    return {
        "coverage": covered.mean(),
        "least covered class": min(by_class, default=np.nan),
        "coverage, uncertain third": covered[uncertain].mean(),
        "second is right and in the set": covered[second].mean() if second.any() else np.nan,
        "size": members.sum(axis=1).mean(),
        "size, uncertain third": members[uncertain].sum(axis=1).mean(),
        "one class, uncertain third": (members[uncertain].sum(axis=1) == 1).mean(),
    }


def measure(title: str, pairs: list[tuple[Predictions, Predictions]]) -> list[Row]:
    """Return the mean of every measure over pairs of a fitting and a test table."""
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    for fitting, cases in pairs:
        for name, members, empty in rules(fitting.labelled(), cases.labelled()):
            for measure_name, value in judged(cases.labelled(), members).items():
                values[name, measure_name].append(value)
            values[name, "empty before filling"].append(empty)
    return [
        row(f"{title}, {name}", measure_name, float(np.nanmean(numbers)), runs=len(pairs))
        for (name, measure_name), numbers in values.items()
    ]


def main() -> None:
    """Compare the rules."""
    parser = options(__doc__)
    parser.add_argument("--runs", type=Path, nargs="*", default=[], help="run folders")
    parser.add_argument("--trials", type=int, default=20, help="of the simulation")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    rows = measure(
        "simulation", [(simulated(rng, 300), simulated(rng, 2000)) for _ in range(arguments.trials)]
    )
    groups: dict[str, list[tuple[Predictions, Predictions]]] = defaultdict(list)
    for run in arguments.runs:
        test = run / "evaluation" / "test" / "predictions.csv"
        if (run / VALIDATION).is_file() and test.is_file():
            method = re.sub(r"-fold\d+|-seed\d+", "", run.name)
            study = run.parents[1].name if run.parent.name == "runs" else run.parent.name
            groups[f"{study} {method}"].append(
                (read_predictions(run / VALIDATION), read_predictions(test))
            )
    for title, pairs in groups.items():
        rows += measure(title, pairs)
    finish(rows, arguments)


if __name__ == "__main__":
    main()
