"""How often the intervals and the promises of the evaluation hold, in simulated cohorts.

    python bench/coverage.py --json coverage.json

Each trial draws a cohort (patients with one lesion, or with one to five that resemble each other)
from a population whose true values are known from a very large sample. Value: share of trials whose
95 % interval holds the truth, and for prediction sets, warnings and selective risk the mean over
trials of what was promised. Baseline: what it should be. Ratio: value / baseline.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.special import softmax

from agfnet.calibration.fit import apply_calibration, fit_calibration
from agfnet.config import CalibrationConfig
from agfnet.evaluation.evaluate import evaluate
from agfnet.files import write_json
from agfnet.inference.predictions import Predictions
from agfnet.metrics.bootstrap import Interval, bootstrap
from agfnet.metrics.delong import auc_interval
from agfnet.metrics.summary import summary

CLASSES = ("a", "b", "c", "d")
SHARE = np.array([0.4, 0.3, 0.2, 0.1])
LEVEL = 0.95


def cohort(rng: np.random.Generator, patients: int, most: int) -> Predictions:
    """Patients with 1 to `most` lesions, which resemble each other."""
    count = rng.integers(1, most + 1, size=patients)
    owner = np.repeat(np.arange(patients), count)
    rows = len(owner)
    leaning = rng.dirichlet(4 * SHARE, patients) if most > 1 else np.tile(SHARE, (patients, 1))
    target = (rng.random((rows, 1)) > leaning[owner].cumsum(axis=1)[:, :-1]).sum(axis=1)
    habit = rng.normal(size=(patients, len(CLASSES)))
    logits = 2.2 * np.eye(len(CLASSES))[target] + habit[owner] + rng.normal(size=(rows, 4))
    return Predictions(
        classes=CLASSES,
        lesion_id=tuple(map(str, range(rows))),
        patient_id=tuple(map(str, owner)),
        label=tuple(CLASSES[c] for c in target),
        probabilities=softmax(1.3 * logits, axis=1),
        ood_score=logits.max(axis=1),
    )


def intervals(most: int, patients: int, trials: int, resamples: int) -> dict[str, float]:
    """Coverage of the interval of each metric, and of one that forgets the patients."""
    rng = np.random.default_rng(most)
    truth = evaluate(cohort(rng, 150_000, most), resamples=1)
    del truth["n"]
    held: dict[str, list[bool]] = defaultdict(list)
    for trial in range(trials):
        cases = cohort(rng, patients, most)
        found = evaluate(cases, resamples=resamples, seed=trial)
        for name in truth:
            held[name].append(_holds(found[name]["low"], found[name]["high"], truth[name]["value"]))
        alone = bootstrap(
            cases.lesion_id,
            summary(cases.probabilities, cases.target, ["accuracy"]),
            resamples=resamples,
            seed=trial,
        )["accuracy"]
        held["accuracy, lesions resampled"].append(
            _holds(alone.low, alone.high, truth["accuracy"]["value"])
        )
    return {name: float(np.mean(values)) for name, values in held.items()}


def areas(most: int, patients: int, trials: int) -> dict[str, float]:
    """Coverage of DeLong's interval of the area of class a, and of the one without patients."""
    rng = np.random.default_rng(100 + most)

    def area(cases: Predictions, patient: Sequence[str] | None) -> Interval:
        return auc_interval(cases.probabilities[:, 0], cases.target == 0, patient)

    truth = area(cohort(rng, 150_000, most), None).value
    held = defaultdict(list)
    for _ in range(trials):
        cases = cohort(rng, patients, most)
        _, low, high = area(cases, cases.patient_id)
        held["AUC, DeLong over patients"].append(_holds(low, high, truth))
        _, low, high = area(cases, None)
        held["AUC, DeLong over lesions"].append(_holds(low, high, truth))
    return {name: float(np.mean(values)) for name, values in held.items()}


def promises(most: int, patients: int, trials: int) -> dict[str, tuple[float, float]]:
    """Mean coverage of sets, false warnings, failures of the risk bound; each with its promise."""
    rng = np.random.default_rng(200 + most)
    population = cohort(rng, 8_000, most)
    owner = np.array(population.patient_id, dtype=np.int64)
    weight = 1 / np.bincount(owner)[owner]  # a promise for a new patient counts patients alike
    target = population.target
    kept: dict[str, list[float]] = defaultdict(list)
    for _ in range(trials):
        cases = cohort(rng, patients, most)
        for score in ("lac", "aps", "raps"):
            for by_class in (False, True):
                config = CalibrationConfig(sets=score, by_class=by_class, target_risk=0.2)
                calibration = fit_calibration(cases, config)
                answer = apply_calibration(population, calibration)
                assert answer.prediction_set is not None
                inside = answer.prediction_set[np.arange(len(target)), target]
                if not by_class:
                    kept[f"coverage, {score}"].append(float(np.average(inside, weights=weight)))
                    continue
                for c, name in enumerate(CLASSES):
                    rows = target == c
                    share = float(np.average(inside[rows], weights=weight[rows]))
                    kept[f"coverage of class {name}, {score} by class"].append(share)
        assert answer.out_of_distribution is not None
        kept["called strange"].append(float(np.average(answer.out_of_distribution, weights=weight)))
        risk = 0.0
        if answer.abstain is not None and not answer.abstain.all():
            given = ~answer.abstain
            wrong = answer.probabilities.argmax(axis=1) != target
            risk = float(np.average(wrong[given], weights=weight[given]))
        kept["selective risk above its bound"].append(float(risk > 0.2))
    aims = {"coverage": 0.9, "called strange": 0.05, "selective risk": 0.05}
    return {
        name: (
            float(np.mean(values)),
            next(aim for key, aim in aims.items() if name.startswith(key)),
        )
        for name, values in kept.items()
    }


def _holds(low: float | None, high: float | None, truth: float) -> bool:
    return low is not None and high is not None and low <= truth <= high


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--patients", type=int, default=300)
    parser.add_argument("--json", type=Path)
    settings = parser.parse_args()
    rows = []
    for most, kind in ((1, "one lesion per patient"), (5, "one to five lesions per patient")):
        title = f"{settings.patients} patients, {kind}, {settings.trials} trials"
        found: dict[str, tuple[float, float]] = {
            name: (value, LEVEL)
            for name, value in {
                **intervals(most, settings.patients, settings.trials, settings.resamples),
                **areas(most, settings.patients, settings.trials),
            }.items()
        }
        found |= promises(most, settings.patients, settings.trials)
        print(f"\n{title}\n")
        for name, (value, aim) in found.items():
            print(f"{name:<40}{value:>8.3f}{aim:>8.2f}")
            rows.append(
                {
                    "name": title,
                    "metric": name,
                    "value": value,
                    "baseline": aim,
                    "ratio": value / aim,
                }
            )
    if settings.json:
        write_json(settings.json, rows)


if __name__ == "__main__":
    main()
