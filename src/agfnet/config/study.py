"""Settings of studies and searches."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from agfnet.config.ranges import Range, Seed, Settings, Workers, parse_duration
from agfnet.errors import ConfigError


@dataclass(frozen=True)
class StudyConfig(Settings):
    """Run a study from one file: every run that is not finished, then the comparison tables."""

    file: str
    """The study (YAML); study.yaml if left out."""
    init: str | None = None
    """Write the study file for this cases table, with an estimate of the time, and run nothing."""
    dry_run: bool = False
    """List the runs and their states without running anything."""
    shard: str | None = None
    """Run the i-th of n shards, as in `2/8`, without the tables. For job arrays; the same command
    without it finishes the study."""
    export: str | None = None
    """Also write a folder for a paper: Table 1, methods, results, figures and checklists, as LaTeX,
    Markdown and CSV."""
    predictions: str | None = None
    """Write tables, figures and report again from this `predictions.zip` of a study, which needs
    neither its runs nor its images."""
    time_limit: str | None = None
    """Start no run that would not finish within this time, as in `2h` or `1h30m`, judged by the
    finished runs. The tables are then written without the missing runs, which are named; the same
    command continues."""
    executor: Literal["local", "ray"] = "local"
    """`local`: on this machine. `ray`: on a Ray cluster (needs agfnet[cluster]); `out` of the study
    must be a folder that all its machines share."""
    workers: Workers = 0
    """Processes that execute runs in parallel; 0 executes one run after the other in this
    process."""
    address: str | None = None
    """Ray: address of the cluster, as in `auto` or `10.0.0.1:6379`. This machine if unset."""
    cpus: Annotated[int, Range(1, 1024)] | None = None
    """CPU cores of a run: its number of threads, and the cores that Ray reserves. If unset,
    `OMP_NUM_THREADS`, the cores that other processes leave free, or with several workers an
    equal part of the cores, and 1 with Ray."""
    gpus: Annotated[float, Range(0, 64)] = 0.0
    """Ray: GPUs of a run; 0.5 puts two runs on one GPU."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in (("address", self.address), ("gpus", self.gpus)):
            if value and self.executor != "ray":
                raise ConfigError(f"{name}: needs --executor ray")
        if self.export is not None and self.shard is not None:
            raise ConfigError("export: needs all runs; leave out shard")
        for name in ("export", "shard", "time_limit", "init"):
            if self.predictions is not None and getattr(self, name) is not None:
                raise ConfigError(f"{name}: not with predictions, which do no runs; leave out one")
        if self.time_limit is not None:
            parse_duration(self.time_limit, "time_limit")
            if self.executor == "ray":
                raise ConfigError("time_limit: not with --executor ray, which queues all runs")


@dataclass(frozen=True)
class RangeConfig(Settings):
    """Range of values of a search."""

    low: int | float
    """Lowest value."""
    high: int | float
    """Highest value; only whole numbers are drawn if both are whole."""
    log: bool = False
    """Draw uniformly on a logarithmic scale, for settings whose order of magnitude matters."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ConfigError(
                f"low: {self.low} must be below high ({self.high}), and above 0 with log"
            )


@dataclass(frozen=True)
class SearchConfig(Settings):
    """Search settings of every method on validation cases."""

    parameters: dict[str, RangeConfig | list[Any]]
    """Settings to search: dotted name to `{low, high, log}` or to a list of choices. If all are
    lists and `trials` is the number of their combinations, each combination is tried once."""
    metric: str = "nll"
    """Metric to optimise: mean over folds and seeds on the validation split."""
    trials: Annotated[int, Range(1, 100_000)] = 20
    """Number of trials of each method; all methods get the same number."""
    seed: Seed = 0
    """Random seed of the sampler (TPE)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.parameters:
            raise ConfigError("parameters: name at least one setting to search")


@dataclass(frozen=True)
class StudyFile(Settings):
    """Content of a study file: methods x settings x folds x seeds, each combination a run."""

    out: str
    """Folder for cohorts, runs and tables."""
    base: dict[str, Any]
    """Settings of every run, as for `agfnet train`, except name, runs, seed and resume."""
    methods: list[str] | dict[str, str | dict[str, Any] | None]
    """Methods to compare. A list holds names of networks (`model.method`) and of variants of AGFnet
    (docs/study.md). A mapping defines names: each is mapped to a network or a variant, or to
    changes of the base by dotted name, as in `photo only: {data.modalities: [clinical]}`. `{}` is
    the base."""
    title: str | None = None
    """Title of the report and of the paper export. The name of the study file if unset."""
    names: dict[str, str] = field(default_factory=dict)
    """Display names in report, figures and tables for reading: name of a method, of a setting or of
    a table (`test`, or one of `evaluate`) to text, as in `late_fusion: Late fusion`. CSV and JSON
    keep the names of the study."""
    reference: str | None = None
    """Method with which all others are compared. The first if unset."""
    seeds: list[Seed] = field(default_factory=lambda: [0])
    """Random seeds; a network is trained for each. p needs at least three; five or more find
    differences of practical size."""
    folds: list[Annotated[int, Range(0, 1e6)]] | None = None
    """Values of `data.fold`, for a table with folds. If unset, the split of the table is used."""
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Conditions under which all methods are compared: name to changes by dotted name, applied
    after those of the method. Several that differ in `data.train_fraction`, and in the number of
    epochs or the batch size that suits it, form a learning curve."""
    cohort: dict[str, Any] | None = None
    """Phantom cohort to render first, as for `agfnet phantom`, except `out`; the runs use it as
    their `data.cases`."""
    cohort_per_seed: bool = False
    """Render a separate phantom cohort for every seed, so that results generalise over cohorts."""
    evaluate: dict[str, str | dict[str, Any]] = field(default_factory=dict)
    """Further tables to evaluate every run on: name to a cases table, or to changes of `cohort`. Of
    a table with a split, or with folds as that of the runs, only test is used."""
    scoring: dict[str, Any] = field(default_factory=dict)
    """Evaluation of every run: settings of `agfnet evaluate`, except run, cases, split and name, as
    in `{max_focus_lesions: 0, examples: 0, resamples: 200}`."""
    metrics: list[str] = field(
        default_factory=lambda: ["balanced_accuracy", "macro_auc", "nll", "ece", "aurc"]
    )
    """Metrics of the tables, in order."""
    rope: float | dict[str, float] | None = None
    """Region of practical equivalence: the largest difference that counts as practically the same,
    in units of the metric, as in `0.01`; one for all metrics, or by metric. Methods are then also
    tested for equivalence with the reference."""
    resamples: Annotated[int, Range(10, 1_000_000)] = 1000
    """Maximum number of jackknife resamples, for intervals and p-values: each leaves out one
    patient, or a group of patients if there are more patients than this."""
    search: SearchConfig | None = None
    """Search settings instead of comparing methods; no test case is used."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("methods", "seeds", "folds", "metrics"):
            values = getattr(self, name)
            if values is not None and not 0 < len(values) == len(set(values)):
                raise ConfigError(f"{name}: expected one or more, none of them twice")
        margins = self.rope if isinstance(self.rope, dict) else {"": self.rope}
        if not all(margin is None or 0 < margin < math.inf for margin in margins.values()):
            raise ConfigError("rope: expected finite numbers above 0")
        if self.cohort is None and self.cohort_per_seed:
            raise ConfigError("cohort_per_seed: needs cohort")
        if self.cohort is not None and self.folds is not None:
            raise ConfigError("folds: a phantom cohort has a split; use a table with folds")
