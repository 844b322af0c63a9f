"""Coverage of the intervals and guarantees of the evaluation, in simulated cohorts.

    python bench/coverage.py --json coverage.json

Each trial draws a cohort (patients with one lesion, or with one to five that resemble each other)
from a population whose true values are known from a very large sample. Value: fraction of trials
whose 95 % interval contains the true value, and for prediction sets, warnings and selective risk
the mean over trials of the guaranteed quantity. Baseline: the nominal value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from common import finish, options, row
from scipy.special import softmax

from agfnet.calibration.fit import apply_calibration, fit_calibration
from agfnet.config import CalibrationConfig
from agfnet.evaluation.evaluate import evaluate
from agfnet.inference.predictions import Predictions
from agfnet.metrics.bootstrap import Interval, bootstrap
from agfnet.metrics.delong import auc_interval
from agfnet.metrics.summary import summary

CLASSES = ("a", "b", "c", "d")
PREVALENCE = np.array([0.4, 0.3, 0.2, 0.1])
LEVEL = 0.95


def cohort(rng: np.random.Generator, patients: int, max_lesions: int) -> Predictions:
    """Draw patients with 1 to `max_lesions` lesions, which resemble each other."""
    count = rng.integers(1, max_lesions + 1, size=patients)
    patient = np.repeat(np.arange(patients), count)
    rows = len(patient)
    prior = np.tile(PREVALENCE, (patients, 1))
    if max_lesions > 1:
        prior = rng.dirichlet(4 * PREVALENCE, patients)
    target = (rng.random((rows, 1)) > prior[patient].cumsum(axis=1)[:, :-1]).sum(axis=1)
    habit = rng.normal(size=(patients, len(CLASSES)))
    logits = 2.2 * np.eye(len(CLASSES))[target] + habit[patient] + rng.normal(size=(rows, 4))
    return Predictions(
        classes=CLASSES,
        lesion_id=tuple(map(str, range(rows))),
        patient_id=tuple(map(str, patient)),
        label=tuple(CLASSES[c] for c in target),
        probabilities=softmax(1.3 * logits, axis=1),
        ood_score=logits.max(axis=1),
    )


def intervals(max_lesions: int, patients: int, trials: int, resamples: int) -> dict[str, float]:
    """Return the coverage of the interval of each metric, and of one that resamples lesions."""
    rng = np.random.default_rng(max_lesions)
    truth = evaluate(cohort(rng, 150_000, max_lesions), resamples=1)
    del truth["n"]
    covered: dict[str, list[bool]] = defaultdict(list)
    for trial in range(trials):
        cases = cohort(rng, patients, max_lesions)
        metrics = evaluate(cases, resamples=resamples, seed=trial)
        for name in truth:
            interval = metrics[name]
            covered[name].append(_holds(interval["low"], interval["high"], truth[name]["value"]))
        alone = bootstrap(
            cases.lesion_id,
            summary(cases.probabilities, cases.target, ["accuracy"]),
            resamples=resamples,
            seed=trial,
        )["accuracy"]
        covered["accuracy, lesions resampled"].append(
            _holds(alone.low, alone.high, truth["accuracy"]["value"])
        )
    return {name: float(np.mean(values)) for name, values in covered.items()}


def areas(max_lesions: int, patients: int, trials: int) -> dict[str, float]:
    """Return the coverage of DeLong's interval for class a, over patients and over lesions."""
    rng = np.random.default_rng(100 + max_lesions)

    def area(cases: Predictions, patient: Sequence[str] | None) -> Interval:
        return auc_interval(cases.probabilities[:, 0], cases.target == 0, patient)

    truth = area(cohort(rng, 150_000, max_lesions), None).value
    covered = defaultdict(list)
    for _ in range(trials):
        cases = cohort(rng, patients, max_lesions)
        _, low, high = area(cases, cases.patient_id)
        covered["AUC, DeLong over patients"].append(_holds(low, high, truth))
        _, low, high = area(cases, None)
        covered["AUC, DeLong over lesions"].append(_holds(low, high, truth))
    return {name: float(np.mean(values)) for name, values in covered.items()}


def guarantees(max_lesions: int, patients: int, trials: int) -> dict[str, tuple[float, float]]:
    """Return coverage of sets, false warnings and violated risk bounds, with nominal values."""
    rng = np.random.default_rng(200 + max_lesions)
    population = cohort(rng, 8_000, max_lesions)
    owner = np.array(population.patient_id, dtype=np.int64)
    weight = 1 / np.bincount(owner)[owner]  # guaranteed for a new patient: patients count equally
    target = population.target
    values_of: dict[str, list[float]] = defaultdict(list)
    for _ in range(trials):
        cases = cohort(rng, patients, max_lesions)
        for score in ("lac", "aps", "raps"):
            for by_class in (False, True):
                config = CalibrationConfig(
                    sets=score, coverage=0.9, consider=1.0, by_class=by_class, target_risk=0.2
                )
                calibration = fit_calibration(cases, config)
                answer = apply_calibration(population, calibration)
                assert answer.prediction_set is not None
                covered = answer.prediction_set[np.arange(len(target)), target]
                if not by_class:
                    values_of[f"coverage, {score}"].append(
                        float(np.average(covered, weights=weight))
                    )
                    continue
                for c, name in enumerate(CLASSES):
                    rows = target == c
                    fraction = float(np.average(covered[rows], weights=weight[rows]))
                    values_of[f"coverage of class {name}, {score} by class"].append(fraction)
        assert answer.out_of_distribution is not None
        values_of["out-of-distribution rate"].append(
            float(np.average(answer.out_of_distribution, weights=weight))
        )
        risk = 0.0
        if answer.abstain is not None and not answer.abstain.all():
            answered = ~answer.abstain
            wrong = answer.probabilities.argmax(axis=1) != target
            risk = float(np.average(wrong[answered], weights=weight[answered]))
        values_of["selective risk above its bound"].append(float(risk > 0.2))
    nominal = {"coverage": 0.9, "out-of-distribution rate": 0.05, "selective risk": 0.05}
    return {
        name: (
            float(np.mean(values)),
            next(level for key, level in nominal.items() if name.startswith(key)),
        )
        for name, values in values_of.items()
    }


def _holds(low: float | None, high: float | None, truth: float) -> bool:
    return low is not None and high is not None and low <= truth <= high


def main() -> None:
    """Simulate cohorts with one lesion per patient, and with several."""
    parser = options(__doc__)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--patients", type=int, default=300)
    arguments = parser.parse_args()
    patients, trials = arguments.patients, arguments.trials
    rows = []
    for max_lesions, lesions in ((1, "one lesion"), (5, "one to five lesions")):
        title = f"{patients} patients, {lesions} per patient, {trials} trials"
        coverage = intervals(max_lesions, patients, trials, arguments.resamples)
        coverage |= areas(max_lesions, patients, trials)
        rows += [row(title, name, value, LEVEL) for name, value in coverage.items()]
        for name, (value, nominal) in guarantees(max_lesions, patients, trials).items():
            rows.append(row(title, name, value, nominal))
    finish(rows, arguments)


if __name__ == "__main__":
    main()
