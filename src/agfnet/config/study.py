"""Settings of studies and searches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from agfnet.config.checks import check
from agfnet.errors import ConfigError


@dataclass(frozen=True)
class StudyConfig:
    """Run a study from one file: every run that is not finished, then the tables of comparison."""

    file: str
    """The study (YAML)."""
    dry_run: bool = False
    """List the runs and how far they are; run nothing."""
    shard: str | None = None
    """Run the i-th of n shares, as in `2/8`, and make no tables: for the tasks of a job array. The
    same command without it finishes the study."""
    executor: Literal["local", "ray"] = "local"
    """`local`: on this machine. `ray`: on a Ray cluster (needs agfnet[cluster]); `out` of the study
    must be a folder that all its machines share."""
    workers: int = 0
    """Processes that do runs at the same time; 0 does one run after the other in this process."""
    address: str | None = None
    """Ray: where the cluster is, as in `auto` or `10.0.0.1:6379`; this machine if unset."""
    cpus: int | None = None
    """CPU cores of a run: its threads, and what Ray reserves. If unset, `workers` share all cores,
    and with Ray it is 1."""
    gpus: float = 0.0
    """Ray: GPUs of a run; 0.5 puts two runs on one."""

    def __post_init__(self) -> None:
        check(self, 0, 1024, "workers")
        check(self, 1, 1024, "cpus")
        check(self, 0, 64, "gpus")
        for name, value in (("address", self.address), ("gpus", self.gpus)):
            if value and self.executor != "ray":
                raise ConfigError(f"{name}: goes with --executor ray")


@dataclass(frozen=True)
class RangeConfig:
    """Values from which a search draws."""

    low: int | float
    """Lowest value."""
    high: int | float
    """Highest value; whole numbers only, if both are whole."""
    log: bool = False
    """Draw the logarithm evenly: for settings of which the order of magnitude matters."""

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ConfigError(
                f"low: {self.low} must be below high ({self.high}), and above 0 in log"
            )


@dataclass(frozen=True)
class SearchConfig:
    """Search for good settings of every method, judged on validation cases alone."""

    parameters: dict[str, RangeConfig | list[Any]]
    """What is searched: a dotted setting, and `{low, high, log}` or a list of choices."""
    metric: str = "nll"
    """What is optimised: a metric on the validation split, mean over folds and seeds."""
    trials: int = 20
    """Settings to try, for each method: methods that are compared get the same number."""
    seed: int = 0
    """Seed of the sampler (TPE)."""

    def __post_init__(self) -> None:
        check(self, 1, 1e5, "trials")
        if not self.parameters:
            raise ConfigError("parameters: name at least one setting to search")


@dataclass(frozen=True)
class StudyFile:
    """What a study file says: methods x settings x folds x seeds, each a run."""

    out: str
    """Folder for all of it: cohorts, runs, tables."""
    base: dict[str, Any]
    """Settings of every run, as in `agfnet train`, but for name, runs, seed and resume."""
    methods: list[str] | dict[str, str | dict[str, Any] | None]
    """What is compared. A list holds names of networks (`model.method`) and of variants of AGFnet
    (docs/study.md). A mapping gives names of one's own: to a network or variant, or to changes of
    the base by dotted name, as in `photo only: {data.modalities: [clinical]}`. `{}` is the base."""
    reference: str | None = None
    """The method that all others are compared with; the first if unset."""
    seeds: list[int] = field(default_factory=lambda: [0])
    """A network is trained anew for each. Without several, nothing is known about chance."""
    folds: list[int] | None = None
    """Values of `data.fold`, for a table with folds; its own split decides if unset."""
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Conditions under which all methods are compared: name to changes of the base by dotted name,
    made after those of the method. Several that differ in `data.train_fraction` are a learning
    curve."""
    cohort: dict[str, Any] | None = None
    """A phantom cohort to make first, as in `agfnet phantom`, but for `out`; the runs use it as
    their `data.cases`."""
    cohort_per_seed: bool = False
    """Every seed has a phantom cohort of its own: what holds then holds for other cohorts too."""
    evaluate: dict[str, str | dict[str, Any]] = field(default_factory=dict)
    """Further tables to score every run on: name to a cases table, or to changes of `cohort`. Of a
    table with a split, only test is scored."""
    scoring: dict[str, Any] = field(default_factory=dict)
    """How every run is scored: settings of `agfnet evaluate` except run, cases, split and name, as
    in `{max_focus_lesions: 0, resamples: 200}`."""
    metrics: list[str] = field(
        default_factory=lambda: ["balanced_accuracy", "macro_auc", "nll", "ece", "aurc"]
    )
    """Metrics of the tables, in order; ranks are shown for each."""
    resamples: int = 1000
    """Bootstrap resamples of patients for intervals and p."""
    search: SearchConfig | None = None
    """Search settings instead of comparing: no test case is used."""

    def __post_init__(self) -> None:
        check(self, 10, 1e6, "resamples")
        for name in ("methods", "seeds", "metrics"):
            values = list(getattr(self, name))
            if not values or len(set(values)) < len(values):
                raise ConfigError(f"{name}: expected one or more, none of them twice")
        if self.cohort is None and self.cohort_per_seed:
            raise ConfigError("cohort_per_seed: goes with cohort")
        if self.cohort is not None and self.folds is not None:
            raise ConfigError("folds: go with a table of your own; a phantom cohort has a split")
