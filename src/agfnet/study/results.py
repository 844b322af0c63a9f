"""Results of a study: metrics of every method with intervals, p values and ranks.

The value of a method is its mean over seeds. The folds of a seed are pooled, so that every case is
tested once per seed. Intervals and p values account for new patients and new seeds
(`paired.over_seeds`); where every seed has a separate cohort, patients vary with the seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product

import numpy as np

from agfnet.inference.predictions import Predictions
from agfnet.metrics.bootstrap import Comparison, patient_draws
from agfnet.metrics.metric import Floats
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
from agfnet.metrics.summary import LOWER_IS_BETTER, METRICS, summary
from agfnet.study.plan import TEST, Study
from agfnet.study.predictions import MethodPredictions, RunKey, read_method_predictions

UPPER_BOUND = {"nll": math.inf, "brier": 2.0}  # of a metric; 1 for all others
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One metric of one method; nan where a number is not defined."""

    method: str
    metric: str
    seeds: int
    """Number of seeds with all folds finished."""
    value: float
    """Mean over seeds."""
    sd: float
    """Standard deviation over single runs (seeds and folds)."""
    low: float
    high: float
    rank: float
    """Mean rank over single runs; 1 is the best."""
    difference: float
    """Difference from the reference, mean over the seeds that both have."""
    difference_low: float
    difference_high: float
    p: float
    """Two-sided p of no difference, for new patients and new seeds."""
    p_holm: float
    """The same, adjusted for the number of methods (Holm)."""
    p_networks: float
    """Two-sided p of no difference between these trained networks, for new patients: DeLong's test
    for `macro_auc`, permutation of patients for means over cases."""

    @property
    def verdict(self) -> str:
        """`better` or `worse` than the reference, or `within noise`; empty if not tested."""
        if not math.isfinite(self.p_holm):
            return ""
        if self.p_holm >= 0.05:
            return "within noise"
        return "worse" if (self.difference > 0) == (self.metric in LOWER_IS_BETTER) else "better"


@dataclass(frozen=True, kw_only=True)
class Section:
    """Results of all methods under one setting on one table."""

    setting: str
    table: str
    reference: str
    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    cells: Mapping[tuple[str, str], Cell]
    """Method and metric to cell; a method without a finished seed has none."""
    friedman: Mapping[str, float]
    """Metric to the p of Friedman's test that all methods rank alike."""
    runs: int
    """Number of single runs that every method has; these are ranked."""
    patients: int
    cases: int
    """Number of cases, and of patients above: of all seeds, if each has a separate cohort."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Display names of methods, settings and tables; a name without one is shown as it is."""

    def display(self, name: str) -> str:
        """Return the display name of a method, setting or table."""
        return self.names.get(name, name)

    @property
    def title(self) -> str:
        """Condition of the section: its setting and table."""
        table = self.names.get(TEST, "test cases") if self.table == TEST else self.table
        parts = [self.display(self.setting), self.display(table)]
        title = ", ".join(filter(None, parts))
        return title[:1].upper() + title[1:]


def sections(study: Study, *, progress: Progress | None = None) -> list[Section]:
    """Compute the results of every setting and table from the finished runs.

    Raises:
        DataError: The runs of one table were scored on different cases.
    """
    pairs = list(product(study.settings, (TEST, *study.file.evaluate)))
    results = []
    for number, (setting, table) in enumerate(pairs):
        if progress is not None:
            progress(number, len(pairs))
        results.append(_section(study, setting, table))
    if progress is not None:
        progress(len(pairs), len(pairs))
    return results


def _section(study: Study, setting: str, table: str) -> Section:
    predictions = read_method_predictions(study, setting, table)
    shared = not study.file.cohort_per_seed
    metrics = study.file.metrics
    methods = {
        name: _Method(
            predictions=predictions[name],
            draws=_draws(predictions[name], metrics, study.file.resamples, shared),
            scores={
                metric: {key: _score(metric, p) for key, p in predictions[name].single.items()}
                for metric in metrics
            },
        )
        for name in study.methods
    }
    common = [
        key
        for key in methods[study.reference].predictions.single
        if all(key in method.predictions.single for method in methods.values())
    ]
    cells: dict[tuple[str, str], Cell] = {}
    friedman = {}
    for column, metric in enumerate(metrics):
        ranked = np.array(
            [[method.scores[metric][key] for method in methods.values()] for key in common]
        ).reshape(len(common), len(methods))
        friedman[metric] = friedman_p(ranked)
        ranks = average_ranks(ranked, higher_is_better=metric not in LOWER_IS_BETTER)
        row = []
        for (name, method), rank in zip(methods.items(), ranks, strict=True):
            if method.predictions.keys:
                reference = None if name == study.reference else methods[study.reference]
                cell = _cell(method, reference, metric, column, shared)
                row.append(replace(cell, method=name, rank=float(rank)))
        for cell, p in zip(row, holm([cell.p for cell in row]), strict=True):
            cells[cell.method, metric] = replace(cell, p_holm=float(p))
    first = next((m.predictions.tables for m in methods.values() if m.predictions.tables), ())
    counted = first[:1] if shared else first
    return Section(
        setting=setting,
        table=table,
        reference=study.reference,
        methods=study.methods,
        metrics=tuple(metrics),
        cells=cells,
        friedman=friedman,
        runs=len(common),
        patients=sum(len(set(cases.patient_id)) for cases in counted),
        cases=sum(map(len, counted)),
        names=study.file.names,
    )


@dataclass(frozen=True, kw_only=True)
class _Method:
    """Predictions and metrics of a method on the table of a section."""

    predictions: MethodPredictions
    draws: Floats
    """Metrics (1 + R, S, K): see `_draws`."""
    scores: Mapping[str, Mapping[RunKey, float]]
    """Metric to its value in every single run."""


def _cell(
    method: _Method, reference: _Method | None, metric: str, column: int, shared: bool
) -> Cell:
    """Compute the cell of a method; its name, rank and adjusted p are added by the section."""
    keys, draws = method.predictions.keys, method.draws[:, :, column]
    value = over_seeds(draws[0], draws[1:], shared=shared)
    difference, p_networks = Comparison(*[math.nan] * 4), math.nan
    both = [] if reference is None else [k for k in keys if k in reference.predictions.keys]
    if reference is not None and both:
        a, b = ([m.predictions.keys.index(key) for key in both] for m in (method, reference))
        paired = draws[:, a] - reference.draws[:, b, column]
        difference = over_seeds(paired[0], paired[1:], shared=shared)
        pairs = [
            (method.predictions.tables[i], reference.predictions.tables[j])
            for i, j in zip(a, b, strict=True)
        ]
        p_networks = _p_networks(metric, difference.value, pairs, shared)
    single = list(method.scores[metric].values())
    return Cell(
        method="",
        metric=metric,
        seeds=len({seed for seed, _ in keys}),
        value=value.value,
        sd=float(np.std(single, ddof=1)) if len(single) > 1 else math.nan,
        low=max(value.low, 0.0),  # with few seeds, the interval can exceed the range of the metric
        high=min(value.high, UPPER_BOUND.get(metric, 1.0)),
        rank=math.nan,
        difference=difference.value,
        difference_low=difference.low,
        difference_high=difference.high,
        p=difference.p,
        p_holm=math.nan,
        p_networks=p_networks,
    )


def _score(metric: str, cases: Predictions) -> float:
    return METRICS[metric](cases.probabilities, cases.target)


def _draws(
    predictions: MethodPredictions, metrics: Sequence[str], resamples: int, shared: bool
) -> Floats:
    """Metrics (1 + R, S, K) of S networks: of all cases, then of R resamples of patients.

    All methods use the same resamples. Separate cohorts are resampled separately.
    """
    tables = predictions.tables
    drawn = np.full((1 + resamples, len(tables), len(metrics)), np.nan)
    for column, ((seed, _), cases) in enumerate(zip(predictions.keys, tables, strict=True)):
        statistics = summary(cases.probabilities, cases.target, metrics)
        for row, weights in enumerate(_weights(cases, resamples, 0 if shared else seed)):
            drawn[row, column] = list(statistics(weights).values())
    return drawn


def _weights(cases: Predictions, resamples: int, seed: int) -> Iterator[Floats]:
    yield np.ones(len(cases))
    yield from patient_draws(cases.patient_id, resamples, seed)


def _p_networks(
    metric: str, value: float, pairs: Sequence[tuple[Predictions, Predictions]], shared: bool
) -> float:
    """Test these trained networks on new patients, in closed form or by permutation."""
    if metric != "macro_auc" and metric not in CASEWISE:
        return math.nan
    parts: list[Floats] = []
    patients: list[list[str]] = []
    for number, (a, b) in enumerate(pairs):
        target = a.target
        measure = area_parts if metric == "macro_auc" else partial(casewise, metric)
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
