"""Results of a study: metrics of every method with intervals, p values and ranks.

The value of a method is its mean over seeds. The folds of a seed are pooled, so that every case is
tested once per seed. Intervals and p values account for new patients and new seeds
(`metrics.seeds`); where every seed has a separate cohort, patients vary with the seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np

from agfnet.metrics.jackknife import leave_patients_out
from agfnet.metrics.metric import Floats
from agfnet.metrics.paired import holm
from agfnet.metrics.ranks import MIN_BLOCKS, average_ranks, friedman_p
from agfnet.metrics.seeds import SeedMean, over_seeds, separate_cohorts
from agfnet.metrics.summary import HIGHEST, LOWER_IS_BETTER, METRICS, summary
from agfnet.study.plan import TEST, Study
from agfnet.study.predictions import (
    MethodPredictions,
    Reader,
    RunKey,
    read_method_predictions,
    read_run,
)
from agfnet.study.settings import margins

SIGNIFICANT = 0.05  # an adjusted p below this is significant
SAME = "practically the same"
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
    """Two-sided p of no difference, for new patients and new seeds; nan with fewer than three
    networks."""
    p_holm: float
    """The same, adjusted for the number of methods (Holm)."""
    p_networks: float
    """Two-sided p of no difference between these trained networks, for new patients."""
    p_equivalent: float = math.nan
    """p of a difference of at least the margin `rope`; nan without a margin."""
    p_equivalent_holm: float = math.nan
    """The same, adjusted for the number of methods (Holm)."""

    @property
    def verdict(self) -> str:
        """Verdict on the difference from the reference; empty if it was not tested.

        `practically the same` if a difference of at least the margin is excluded; otherwise
        `better` or `worse` than the reference, or `within noise`.
        """
        if not math.isfinite(self.p_holm):
            return ""
        if self.p_equivalent_holm < SIGNIFICANT:
            return SAME
        if self.p_holm >= SIGNIFICANT:
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
    """Metric to the p of Friedman's test that all methods rank alike. Empty unless the runs are
    independent blocks, each with a separate cohort, and at least `ranks.MIN_BLOCKS`."""
    runs: int
    """Number of single runs that every method has; these are ranked."""
    patients: int
    cases: int
    """Number of cases, and of patients above: of all seeds, if each has a separate cohort."""
    folds: int = 1
    """Number of networks of a seed: folds of the study, or 1 without folds."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Display names of methods, settings and tables; a name without one is shown as it is."""
    rope: Mapping[str, float] = field(default_factory=dict)
    """Metric to the largest difference that counts as practically the same."""

    @property
    def networks(self) -> int:
        """Fewest networks of a method that has any."""
        return min((cell.seeds for cell in self.cells.values()), default=0) * self.folds

    def display(self, name: str) -> str:
        """Return the display name of a method, setting or table."""
        return self.names.get(name, name)

    @property
    def table_title(self) -> str:
        """Display name of the table."""
        return self.names.get(self.table, "test cases" if self.table == TEST else self.table)

    @property
    def title(self) -> str:
        """Display names of the setting and the table."""
        parts = [self.display(self.setting), self.table_title]
        title = ", ".join(filter(None, parts))
        return title[:1].upper() + title[1:]


def sections(
    study: Study, *, read: Reader = read_run, progress: Progress | None = None
) -> list[Section]:
    """Compute the results of every setting and table from the finished runs.

    Args:
        study: The study.
        read: Returns the predictions of a run; those of its folder by default.
        progress: Called with the number of finished tables and of all.

    Raises:
        DataError: The runs of one table were scored on different cases.
    """
    pairs = list(product(study.settings, (TEST, *study.file.evaluate)))
    results = []
    for number, (setting, table) in enumerate(pairs):
        if progress is not None:
            progress(number, len(pairs))
        results.append(_section(study, setting, table, read))
    if progress is not None:
        progress(len(pairs), len(pairs))
    return results


def _section(study: Study, setting: str, table: str, read: Reader) -> Section:
    predictions = read_method_predictions(study, setting, table, read)
    shared = not study.file.cohort_per_seed
    metrics = study.file.metrics
    methods = {
        name: _measured(predictions[name], metrics, study.file.resamples) for name in study.methods
    }
    reference = methods[study.reference]
    differences = {
        name: None if method is reference else _minus(method, reference)
        for name, method in methods.items()
    }
    common = [k for k in reference.runs if all(k in method.runs for method in methods.values())]
    rope = margins(study.file.rope, metrics)
    cells: dict[tuple[str, str], Cell] = {}
    friedman = {}
    for column, metric in enumerate(metrics):
        ranked = np.array(
            [[method.runs[key][column] for method in methods.values()] for key in common]
        ).reshape(len(common), len(methods))
        if not shared and len(common) >= MIN_BLOCKS:
            friedman[metric] = friedman_p(ranked)
        ranks = average_ranks(ranked, higher_is_better=metric not in LOWER_IS_BETTER)
        row = []
        for (name, method), rank in zip(methods.items(), ranks, strict=True):
            if method.seeds:
                cell = _cell(
                    method,
                    differences[name],
                    metric,
                    column,
                    shared=shared,
                    margin=rope.get(metric),
                )
                row.append(replace(cell, method=name, rank=float(rank)))
        cells |= {(cell.method, metric): cell for cell in _adjusted(row)}
    first = next((p.tables for p in predictions.values() if p.tables), ())
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
        folds=len(study.file.folds or [None]),
        names=study.file.names,
        rope=rope,
    )


@dataclass(frozen=True, kw_only=True)
class _Method:
    """K metrics of a method on the table of a section."""

    seeds: tuple[int, ...]
    """The S seeds with all folds finished."""
    values: Floats
    """(S, K)."""
    left_out: tuple[Floats, ...]
    """For each seed (G, K): the metrics without each patient or group of patients."""
    runs: Mapping[RunKey, Floats]
    """Metrics (K,) of every single run."""


def _measured(predictions: MethodPredictions, metrics: Sequence[str], max_groups: int) -> _Method:
    of_seed: dict[int, list[tuple[Floats, Floats]]] = {}
    for (seed, _), cases in zip(predictions.keys, predictions.tables, strict=True):
        statistics = summary(cases.probabilities, cases.target, metrics)
        measured = leave_patients_out(cases.patient_id, statistics, max_groups=max_groups)
        of_seed.setdefault(seed, []).append(measured)
    # where every network of a seed's folds judged all cases, the seed's value is their mean
    means = [[np.mean(part, axis=0) for part in zip(*of, strict=True)] for of in of_seed.values()]
    return _Method(
        seeds=tuple(of_seed),
        values=np.array([value for value, _ in means]).reshape(len(means), len(metrics)),
        left_out=tuple(left_out for _, left_out in means),
        runs={
            key: np.array([METRICS[name](p.probabilities, p.target) for name in metrics])
            for key, p in predictions.single.items()
        },
    )


def _minus(a: _Method, b: _Method) -> _Method:
    """Differences of the metrics on the seeds and runs that both have."""
    both = tuple(seed for seed in a.seeds if seed in b.seeds)
    i, j = ([each.seeds.index(seed) for seed in both] for each in (a, b))
    return _Method(
        seeds=both,
        values=a.values[i] - b.values[j],
        left_out=tuple(a.left_out[x] - b.left_out[y] for x, y in zip(i, j, strict=True)),
        runs={key: a.runs[key] - b.runs[key] for key in a.runs if key in b.runs},
    )


def _mean(method: _Method, column: int, shared: bool) -> SeedMean:
    """Mean over seeds of one metric."""
    values = method.values[:, column]
    left_out = [rows[:, column] for rows in method.left_out]
    rows = np.stack(left_out, axis=1) if shared and left_out else separate_cohorts(values, left_out)
    folds = sorted({fold for _, fold in method.runs if fold is not None})
    runs = [[method.runs[seed, fold][column] for fold in folds] for seed in method.seeds]
    return over_seeds(values, rows, runs=np.array(runs) if folds else None)


def _cell(
    method: _Method,
    difference: _Method | None,
    metric: str,
    column: int,
    *,
    shared: bool,
    margin: float | None,
) -> Cell:
    """Compute the cell of a method; its name, rank and adjusted p are added by the section."""
    highest = HIGHEST.get(metric, 1.0)
    value = _mean(method, column, shared).interval_in_range(high=highest)
    single = [run[column] for run in method.runs.values()]
    cell = Cell(
        method="",
        metric=metric,
        seeds=len(method.seeds),
        value=value.value,
        sd=float(np.std(single, ddof=1)) if len(single) > 1 else math.nan,
        low=value.low,
        high=value.high,
        rank=math.nan,
        difference=math.nan,
        difference_low=math.nan,
        difference_high=math.nan,
        p=math.nan,
        p_holm=math.nan,
        p_networks=math.nan,
    )
    if difference is None or not difference.seeds:
        return cell
    mean = _mean(difference, column, shared)
    interval = mean.interval(low=-highest, high=highest)
    return replace(
        cell,
        difference=interval.value,
        difference_low=interval.low,
        difference_high=interval.high,
        p=mean.p(),
        p_networks=mean.p_networks(),
        p_equivalent=math.nan if margin is None else mean.p_equivalent(margin),
    )


def _adjusted(row: Sequence[Cell]) -> list[Cell]:
    """Adjust the p of the cells of one metric for their number."""
    p, equivalent = holm([cell.p for cell in row]), holm([cell.p_equivalent for cell in row])
    return [
        replace(cell, p_holm=float(different), p_equivalent_holm=float(same))
        for cell, different, same in zip(row, p, equivalent, strict=True)
    ]
