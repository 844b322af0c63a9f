"""Rates of false findings and power of the statistics of studies, in simulated studies.

    python bench/study_statistics.py --json bench/results/study_statistics.json

Each simulated study scores the same patients with the networks of several methods and seeds. The
score of a network for a patient is the sum of the quality of the network, which varies by method
and seed, and of what makes the patient easy for all networks, for all networks of a method, and for
this network. Accuracy and AUC of these scores go through the functions that `agfnet study` uses.
"spread" is the standard deviation of the quality over seeds: 0; 0.05, where seeds vary by 0.012 in
accuracy, as in real studies; and 0.3, where they dominate.

Value: the fraction of studies with a finding. Baseline: the nominal level for equal methods, none
for power. Rows of equal methods have `excess`: value - baseline in standard errors.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
from common import Row, finish, options, row
from resampling import paired_bootstrap
from scipy.special import expit, ndtr, ndtri, stdtrit

from agfnet.metrics.metric import Floats
from agfnet.metrics.paired import area_parts, area_test, paired_jackknife
from agfnet.metrics.ranks import MIN_BLOCKS, average_ranks, critical_difference, friedman_p
from agfnet.metrics.seeds import SeedMean, over_seeds, separate_cohorts
from agfnet.metrics.summary import summary as summary_of

SEEDS = (2, 3, 5, 10)
PATIENTS = (30, 80, 400, 2000)
LEVELS = (0.05, 0.01, 0.001)
SPREADS = (0.0, 0.05, 0.3)
REALISTIC = 0.05
METRICS = ("accuracy", "AUC")
EASE = (0.8, 0.5, 0.7)  # standard deviations: of patients, of methods and of networks on patients
SIGMA = float(np.sqrt(np.square(EASE).sum()))
BETTER = 0.05  # difference in accuracy for which power is reported, and the margin of equivalence
GAIN = SIGMA * float(ndtri(ndtr(1 / SIGMA) + BETTER)) - 1  # the quality that gives it
BASELINES = 13
Measured = tuple[Floats, Floats]  # values (M, S), and without each patient (M, N, S)


def scores(
    rng: np.random.Generator, methods: int, seeds: int, patients: int, spread: float, gain: float
) -> tuple[Floats, Any]:
    """Return scores (M, S, N) of one study and the true class (N,); the first method has `gain`."""
    positive = rng.permutation(np.arange(patients) < 0.4 * patients)
    quality = 1 + rng.normal(0, spread, (methods, seeds, 1))
    quality[0] += gain
    score = EASE[2] * rng.standard_normal((methods, seeds, patients))
    score += EASE[1] * rng.standard_normal((methods, 1, patients))
    score += EASE[0] * rng.standard_normal(patients)
    score += quality * np.where(positive, 1, -1)
    return score, positive


def accuracy(score: Floats, positive: Any) -> Measured:
    """Return the accuracy of every network, and without each patient."""
    correct = ((score > 0) == positive).astype(np.float64)
    total = correct.sum(axis=-1)
    return total / len(positive), _by_patient((total[..., None] - correct) / (len(positive) - 1))


def area(score: Floats, positive: Any) -> Measured:
    """Return the AUC of every network, and without each patient; scores are never equal."""
    wins, losses = positive.sum(), (~positive).sum()
    order = score.argsort(axis=-1)
    hit = positive[order]
    # pairs of each patient with the other class that are ranked correctly
    pairs = np.where(hit, (~hit).cumsum(axis=-1), wins - hit.cumsum(axis=-1)).astype(np.float64)
    correct = np.empty_like(pairs)
    np.put_along_axis(correct, order, pairs, axis=-1)
    total = correct[..., positive].sum(axis=-1)
    without = np.where(positive, (wins - 1) * losses, wins * (losses - 1))
    return total / (wins * losses), _by_patient((total[..., None] - correct) / without)


MEASURES: dict[str, Callable[[Floats, Any], Measured]] = {"accuracy": accuracy, "AUC": area}


def _by_patient(left_out: Floats) -> Floats:
    return np.swapaxes(left_out, -1, -2)


def differences(measured: Measured) -> Iterator[SeedMean]:
    """Return the difference of every further method from the first, negated."""
    values, left_out = measured
    for method in range(1, len(values)):
        yield over_seeds(values[0] - values[method], left_out[0] - left_out[method])


def excluded(mean: SeedMean, null: float, level: float) -> bool:
    """Return true if the interval of 1 - level excludes `null`, so that p < level."""
    _, low, high = mean.interval(1 - level)
    return bool(low > null or high < null)


def equal_methods(seeds: int, patients: int, spread: float, studies: int) -> list[Row]:
    """Return the rates of p below each level with two equal methods."""
    rng = np.random.default_rng([1, seeds, patients, int(100 * spread)])
    counts: dict[tuple[str, float], int] = defaultdict(int)
    same = 0
    for _ in range(studies):
        study = scores(rng, 2, seeds, patients, spread, 0.0)
        for metric, measure in MEASURES.items():
            (mean,) = differences(measure(*study))
            for level in LEVELS:
                counts[metric, level] += excluded(mean, 0.0, level)
            if metric == "accuracy" and spread == REALISTIC:
                same += mean.p_equivalent(BETTER) < 0.05
    title = f"{seeds} seeds, {patients} patients, spread {spread}"
    rows = [
        against(f"equal methods, {metric}, {title}", f"p < {level}", count, level, studies)
        for (metric, level), count in counts.items()
    ]
    if spread == REALISTIC and seeds > 2:
        name = f"equal methods, {title}, margin {BETTER}"
        rows.append(row(name, "accuracy, practically the same", same / studies))
    return rows


def better_method(seeds: int, patients: int, studies: int) -> list[Row]:
    """Return the power, coverage, and the rate of wrong "practically the same" at the margin."""
    rng = np.random.default_rng([2, seeds, patients])
    counts: dict[str, int] = defaultdict(int)
    quality = 1 + GAIN
    true = {
        "accuracy": ndtr(quality / np.hypot(SIGMA, REALISTIC)),
        "AUC": ndtr(np.sqrt(2) * quality / np.sqrt(SIGMA**2 + 2 * REALISTIC**2)),
    }
    for _ in range(studies):
        study = scores(rng, 2, seeds, patients, REALISTIC, GAIN)
        for metric, measure in MEASURES.items():
            values, left_out = measure(*study)
            (mean,) = differences((values, left_out))
            for level in (*LEVELS, 0.05 / BASELINES):
                counts[f"{metric}, p < {level:.2g}"] += excluded(mean, 0.0, level)
            _, low, high = over_seeds(values[0], left_out[0]).interval_in_range()
            counts[f"{metric}, outside"] += not low <= true[metric] <= high
            if metric == "accuracy":
                counts["same"] += mean.p_equivalent(BETTER) < 0.05
    title = f"{seeds} seeds, {patients} patients"
    rows = [
        row(f"accuracy better by {BETTER}, {title}", name, count / studies)
        for name, count in counts.items()
        if "p <" in name
    ]
    for metric in METRICS:
        name = f"interval of one method, {metric}, {title}"
        count = counts[f"{metric}, outside"]
        rows.append(against(name, "truth outside of the 95 % interval", count, 0.05, studies))
    if seeds > 2:
        name = f"accuracy differs by the margin, {title}"
        rows.append(against(name, "practically the same", counts["same"], 0.05, studies))
    return rows


def many_baselines(seeds: int, patients: int, spread: float, studies: int) -> Row:
    """Return the rate of studies with a finding among 13 equal baselines, after Holm."""
    rng = np.random.default_rng([3, seeds, patients])
    count = 0
    for _ in range(studies):
        study = scores(rng, 1 + BASELINES, seeds, patients, spread, 0.0)
        # the smallest p decides: Holm multiplies it by the number of baselines
        means = differences(accuracy(*study))
        count += any(excluded(mean, 0.0, 0.05 / BASELINES) for mean in means)
    name = f"{BASELINES} equal baselines, {seeds} seeds, {patients} patients, spread {spread}"
    return against(name, "any adjusted p < 0.05", count, 0.05, studies)


def cohort_per_seed(seeds: int, patients: int, studies: int) -> list[Row]:
    """Return the rates with a separate cohort for every seed."""
    rng = np.random.default_rng([4, seeds, patients])
    counts = dict.fromkeys(LEVELS, 0)
    for _ in range(studies):
        cohorts = [accuracy(*scores(rng, 2, 1, patients, REALISTIC, 0.0)) for _ in range(seeds)]
        values = np.array([value[0, 0] - value[1, 0] for value, _ in cohorts])
        left_out = [rows[0, :, 0] - rows[1, :, 0] for _, rows in cohorts]
        mean = over_seeds(values, separate_cohorts(values, left_out))
        for level in LEVELS:
            counts[level] += excluded(mean, 0.0, level)
    name = f"equal methods, separate cohorts, accuracy, {seeds} seeds, {patients} patients each"
    return [against(name, f"p < {x}", count, x, studies) for x, count in counts.items()]


def five_folds(seeds: int, studies: int) -> list[Row]:
    """Return the rates with five folds, with and without the corrected resampled t test.

    The training set of a fold changes a method: each training patient by half of what a test
    patient changes the difference. All seeds of a fold share this change.
    """
    rng = np.random.default_rng([5, seeds])
    patients, folds = 400, 5
    fold = np.arange(patients) % folds
    counts = {name: dict.fromkeys(LEVELS, 0) for name in ("corrected", "uncorrected")}
    for _ in range(studies):
        influence = 0.5 * rng.standard_normal(patients)
        trained = np.array([influence[fold != k].mean() for k in range(folds)])
        cases = rng.standard_normal(patients) + rng.standard_normal((seeds, patients))
        cases += (trained + rng.normal(0, 0.05, (seeds, folds)))[:, fold]
        runs = np.stack([cases[:, fold == k].mean(axis=1) for k in range(folds)], axis=1)
        left_out = ((cases.sum(axis=1, keepdims=True) - cases) / (patients - 1)).T
        for name, of_folds in (("corrected", runs), ("uncorrected", None)):
            mean = over_seeds(cases.mean(axis=1), left_out, runs=of_folds)
            for level in LEVELS:
                counts[name][level] += excluded(mean, 0.0, level)
    title = f"equal methods, five folds, {seeds} seeds, {patients} patients"
    return [
        against(f"{title}, {name}", f"p < {level}", count, level, studies)
        for name, by_level in counts.items()
        for level, count in by_level.items()
    ]


def alternatives(seeds: int, studies: int) -> list[Row]:
    """Return the worst rates of several methods over fractions of the patients in the variance.

    Only the variance matters here: the difference, the variance over seeds of each of two methods,
    and a known variance of patients are drawn from their distributions.
    """
    rng = np.random.default_rng([6, seeds])
    worst: dict[tuple[str, float], int] = defaultdict(int)
    for patients, ratio in product((0.0, 0.02, 0.2, 0.5, 0.8, 1.0), (1.0, 0.3, 0.1)):
        ours = (1 - patients) / (1 + ratio)
        difference = rng.standard_normal(studies) ** 2
        first, second = (
            variance * rng.chisquare(seeds - 1, studies) / (seeds - 1)
            for variance in (ours, ours * ratio)
        )
        paired = (1 - patients) * rng.chisquare(seeds - 1, studies) / (seeds - 1)
        apart = first + second
        with np.errstate(divide="ignore", invalid="ignore"):
            satterthwaite = np.fmin((patients + paired) ** 2 / paired**2 * (seeds - 1), 1e6)
            welch = np.nan_to_num(apart**2 / (first**2 + second**2) * (seeds - 1), nan=seeds - 1)
        for level in LEVELS:
            normal, student = (stdtrit(f, level / 2) ** 2 for f in (1e6, seeds - 1))
            limits = {
                "Satterthwaite": (patients + paired) * stdtrit(satterthwaite, level / 2) ** 2,
                "floor, S - 1 degrees of freedom": (patients + paired) * student,
                "unpaired seeds, Welch": patients * normal + apart * stdtrit(welch, level / 2) ** 2,
                "Banerjee": patients * normal + paired * student,
            }
            for name, limit in limits.items():
                worst[name, level] = max(worst[name, level], int((difference > limit).sum()))
    return [
        against(f"{name}, {seeds} seeds, worst case", f"p < {level}", count, level, studies)
        for (name, level), count in worst.items()
    ]


def one_network_each(patients: int, studies: int) -> list[Row]:
    """Return the rates of `agfnet compare` with two equal networks on few patients.

    Its jackknife, DeLong's test of the AUC, and the bootstrap that it used to take.
    """
    rng = np.random.default_rng([7, patients])
    counts: dict[tuple[str, float], int] = defaultdict(int)
    names = list(map(str, range(patients)))
    for study in range(studies):
        score, positive = scores(rng, 2, 1, patients, 0.0, 0.0)
        target = positive.astype(np.int64)
        tables = [np.stack([expit(-s[0]), expit(s[0])], axis=1) for s in score]
        statistics = [summary_of(table, target, ("accuracy", "macro_auc")) for table in tables]
        jackknife = paired_jackknife(names, *statistics)
        resampled = paired_bootstrap(names, *statistics, resamples=200, seed=study)
        parts = area_parts(tables[0], target) - area_parts(tables[1], target)
        p = {f"{metric}, jackknife": test.p for metric, test in jackknife.items()}
        p |= {f"{metric}, percentile bootstrap": test.p for metric, test in resampled.items()}
        p["macro_auc, DeLong"] = area_test(jackknife["macro_auc"].value, parts, names).p
        for level in LEVELS[:2]:
            for name, of_test in p.items():
                counts[name, level] += of_test < level
    title = f"two equal networks, {patients} patients"
    return [
        against(f"{title}, {name}", f"p < {level}", count, level, studies)
        for (name, level), count in counts.items()
    ]


def rank_tests(methods: int, studies: int) -> list[Row]:
    """Return the rates of Friedman's and Nemenyi's tests, with independent and shared patients."""
    rng = np.random.default_rng([8, methods])
    gap = critical_difference(methods, MIN_BLOCKS)
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for _ in range(studies):
        independent = rng.standard_normal((MIN_BLOCKS, methods))
        shared = independent + rng.standard_normal(methods)  # patients suit one method by chance
        for name, values in (("independent cohorts", independent), ("same patients", shared)):
            ranks = average_ranks(values, higher_is_better=True)
            counts[name, "Nemenyi, any difference"] += int(np.ptp(ranks) > gap)
            counts[name, "Friedman, p < 0.05"] += int(friedman_p(values) < 0.05)
    return [
        against(f"{methods} equal methods, 8 runs, {name}", test, count, 0.05, studies)
        for (name, test), count in counts.items()
    ]


def against(name: str, metric: str, count: float, level: float, studies: int) -> Row:
    """Return a row with the rate of false findings, and its excess in standard errors."""
    error = np.sqrt(level * (1 - level) / studies)
    rate = count / studies
    return row(name, metric, rate, level, studies=studies, excess=(rate - level) / error)


def summary(rows: list[Row]) -> Iterator[Row]:
    """Return the largest rate over metrics and spreads, by seeds, patients and level."""
    for seeds, patients in product(SEEDS, PATIENTS):
        title = f"{seeds} seeds, {patients} patients"
        for level in LEVELS:
            rates = [
                each["value"]
                for each in rows
                if each["name"].startswith("equal methods") and f"{title}, spread" in each["name"]
                if each["metric"] == f"p < {level}"
            ]
            yield row(f"largest rate, {title}", f"p < {level}", max(rates), level)


def main() -> None:
    """Simulate all studies."""
    parser = options(__doc__)
    parser.add_argument("--studies", type=int, default=4000, help="of each row")
    studies = parser.parse_args().studies
    rows: list[Row] = []
    for seeds, patients in product(SEEDS, PATIENTS):
        number = studies // 2 if seeds * patients > 10_000 else studies  # to save time
        for spread in SPREADS:
            rows += equal_methods(seeds, patients, spread, number)
        rows += better_method(seeds, patients, number // 2)
        if seeds > 2:
            rows += [many_baselines(seeds, patients, s, number // 2) for s in (REALISTIC, 0.3)]
    rows += summary(rows)
    rows += five_folds(1, studies)
    for seeds in SEEDS[1:]:
        rows += cohort_per_seed(seeds, 80, studies)
        rows += five_folds(seeds, studies)
        rows += alternatives(seeds, 25 * studies)
    for patients in PATIENTS[:2]:
        rows += one_network_each(patients, studies // 2)
    for methods in (3, 5, 14):
        rows += rank_tests(methods, studies)
    finish(rows, parser.parse_args())


if __name__ == "__main__":
    main()
