"""From the predictions of finished runs to the numbers of the tables.

The value of a method is its mean over seeds; the folds of a seed are pooled, so that every case is
tested once per seed. Intervals and p let patients and seeds vary together (`paired.over_seeds`);
where every seed has a cohort of its own, patients vary with the seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from agfnet.inference.predictions import Predictions
from agfnet.metrics.bootstrap import Comparison, patient_draws
from agfnet.metrics.paired import (
    CASEWISE,
    area_parts,
    area_test,
    casewise,
    holm,
    over_seeds,
    permutation_p,
)
from agfnet.metrics.ranks import average_ranks, friedman_p
from agfnet.metrics.summary import LOWER_IS_BETTER, METRICS, Floats, Integers
from agfnet.study.answers import Answers, read_answers
from agfnet.study.plan import TEST, Study

HIGHEST = {"nll": math.inf, "brier": 2.0}
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One method in one metric; nan where a number is not defined."""

    method: str
    metric: str
    seeds: int
    """Seeds of which all folds are finished."""
    value: float
    """Mean over seeds."""
    sd: float
    """Standard deviation over single runs (seeds and folds)."""
    low: float
    high: float
    rank: float
    """Mean rank over single runs, 1 the best."""
    difference: float
    """From the reference, over the seeds that both have."""
    difference_low: float
    difference_high: float
    p: float
    """Of no difference, over new patients and new seeds."""
    p_holm: float
    """The same, adjusted for the methods of the table."""
    p_networks: float
    """Of no difference between these very networks, over new patients: DeLong's test for
    `macro_auc`, permutation of patients for means over cases."""

    @property
    def verdict(self) -> str:
        """`better` or `worse` than the reference, or `within noise`; empty if not compared."""
        if not math.isfinite(self.p_holm):
            return ""
        if self.p_holm >= 0.05:
            return "within noise"
        return "worse" if (self.difference > 0) == (self.metric in LOWER_IS_BETTER) else "better"


@dataclass(frozen=True, kw_only=True)
class Section:
    """All methods under one setting, on one table."""

    setting: str
    table: str
    reference: str
    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    cells: Mapping[tuple[str, str], Cell]
    """By method and metric; a method without a finished seed has none."""
    friedman: Mapping[str, float]
    """p that all methods rank alike, by metric."""
    runs: int
    """Single runs that every method has: those that are ranked."""
    patients: int
    cases: int
    """Over all seeds, if each has a cohort of its own."""

    @property
    def title(self) -> str:
        """Setting and table in words."""
        table = "test cases" if self.table == TEST else self.table
        return f"{self.setting}, {table}" if self.setting else table


def sections(study: Study, *, progress: Progress | None = None) -> list[Section]:
    """The numbers of every setting and table, from the runs that are finished.

    Raises:
        DataError: the runs of one table were scored on different cases.
    """
    places = [
        (setting, table) for setting in study.settings for table in (TEST, *study.file.evaluate)
    ]
    found = []
    for number, (setting, table) in enumerate(places):
        if progress is not None:
            progress(number, len(places))
        found.append(_section(study, setting, table))
    if progress is not None:
        progress(len(places), len(places))
    return found


def _section(study: Study, setting: str, table: str) -> Section:
    measured = read_answers(study, setting, table)
    shared = not study.file.cohort_per_seed
    first = next((m.tables for m in measured.values() if m.tables), ())
    counted = first[:1] if shared else first
    metrics = study.file.metrics
    draws = {
        method: _draws(found, metrics, study.file.resamples, shared)
        for method, found in measured.items()
    }
    single = {method: found.single for method, found in measured.items()}
    blocks = [key for key in single[study.reference] if all(key in s for s in single.values())]
    cells: dict[tuple[str, str], Cell] = {}
    friedman = {}
    for metric in metrics:
        runs = {m: {key: _score(metric, p) for key, p in s.items()} for m, s in single.items()}
        ranked = np.array([[runs[m][key] for m in measured] for key in blocks]).reshape(
            len(blocks), len(measured)
        )
        friedman[metric] = friedman_p(ranked)
        ranks = average_ranks(ranked, higher_is_better=metric not in LOWER_IS_BETTER)
        row = [
            _cell(study, metric, method, measured, draws, shared, list(runs[method].values()), rank)
            for method, rank in zip(measured, ranks, strict=True)
            if measured[method].keys
        ]
        adjusted = holm([cell.p for cell in row])
        for cell, p in zip(row, adjusted, strict=True):
            cells[cell.method, metric] = replace(cell, p_holm=float(p))
    return Section(
        setting=setting,
        table=table,
        reference=study.reference,
        methods=study.methods,
        metrics=tuple(metrics),
        cells=cells,
        friedman=friedman,
        runs=len(blocks),
        patients=sum(len(set(one.patient_id)) for one in counted),
        cases=sum(map(len, counted)),
    )


def _cell(
    study: Study,
    metric: str,
    method: str,
    measured: Mapping[str, Answers],
    draws: Mapping[str, Floats],
    shared: bool,
    runs: Sequence[float],
    rank: float,
) -> Cell:
    place = study.file.metrics.index(metric)
    mine, other = measured[method], measured[study.reference]
    values, drawn = draws[method][0, :, place], draws[method][1:, :, place]
    whole = over_seeds(values, drawn, shared=shared)
    both = [key for key in mine.keys if key in other.keys]
    gap, p_networks = Comparison(*[math.nan] * 4), math.nan
    if method != study.reference and both:
        a, b = ([m.keys.index(key) for key in both] for m in (mine, other))
        difference = draws[method][:, a, place] - draws[study.reference][:, b, place]
        gap = over_seeds(difference[0], difference[1:], shared=shared)
        pairs = [(mine.tables[i], other.tables[j]) for i, j in zip(a, b, strict=True)]
        p_networks = _p_networks(metric, gap.value, pairs, shared)
    return Cell(
        method=method,
        metric=metric,
        seeds=len({seed for seed, _ in mine.keys}),
        value=whole.value,
        sd=float(np.std(runs, ddof=1)) if len(runs) > 1 else math.nan,
        low=max(whole.low, 0.0),  # few seeds reach beyond what the metric can be
        high=min(whole.high, HIGHEST.get(metric, 1.0)),
        rank=float(rank),
        difference=gap.value,
        difference_low=gap.low,
        difference_high=gap.high,
        p=gap.p,
        p_holm=math.nan,
        p_networks=p_networks,
    )


def _score(metric: str, cases: Predictions) -> float:
    return METRICS[metric](cases.probabilities, cases.target)


def _draws(found: Answers, metrics: Sequence[str], resamples: int, shared: bool) -> Floats:
    """Metrics (1 + R, S, K) of S networks: of all cases, then of R resamples of patients.

    All methods meet the same resamples. Cohorts of their own are drawn each by itself.
    """
    drawn = np.full((1 + resamples, len(found.tables), len(metrics)), np.nan)
    for column, (key, cases) in enumerate(zip(found.keys, found.tables, strict=True)):
        target = cases.target
        weighted = [METRICS[name].prepare(cases.probabilities, target) for name in metrics]
        for row, weights in enumerate(_weights(cases, resamples, 0 if shared else key[0])):
            drawn[row, column] = [score(weights) for score in weighted]
    return drawn


def _weights(cases: Predictions, resamples: int, seed: int) -> Iterator[Floats]:
    yield np.ones(len(cases))
    yield from patient_draws(cases, resamples, seed)


def _p_networks(
    metric: str, value: float, pairs: Sequence[tuple[Predictions, Predictions]], shared: bool
) -> float:
    """Test of these very networks on new patients, in closed form or by permutation."""
    if metric != "macro_auc" and metric not in CASEWISE:
        return math.nan
    parts: list[Floats] = []
    patients: list[list[str]] = []
    for number, (a, b) in enumerate(pairs):
        target = a.target
        measure = area_parts if metric == "macro_auc" else _values(metric)
        parts.append(measure(a.probabilities, target) - measure(b.probabilities, target))
        patients.append([name if shared else f"{number}/{name}" for name in a.patient_id])
    if shared:
        difference, patient = np.mean(parts, axis=0), patients[0]
    else:
        difference = np.concatenate(parts)
        patient = [name for names in patients for name in names]
    if metric == "macro_auc":
        return area_test(value, difference / (1 if shared else len(pairs)), patient).p
    return permutation_p(difference, patient)


def _values(metric: str) -> Callable[[Floats, Integers], Floats]:
    return lambda probabilities, target: casewise(metric, probabilities, target)
