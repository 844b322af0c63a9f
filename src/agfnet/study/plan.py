"""The plan of a study: its runs, each with all its settings, and its phantom cohorts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

from agfnet.config import (
    DataConfig,
    EvaluateConfig,
    ModelConfig,
    PhantomConfig,
    SearchConfig,
    StudyFile,
    TrainConfig,
    range_of,
)
from agfnet.config.renamed import METHODS as FORMER_METHODS
from agfnet.config.renamed import renamed
from agfnet.config.settings_file import read_yaml
from agfnet.data.problems import near
from agfnet.errors import ConfigError
from agfnet.metrics.summary import METRICS
from agfnet.study.checks import check_study_file
from agfnet.study.cohorts import cohort_folder, plan_cohorts
from agfnet.study.settings import as_values, build, overlay, refuse_names, slug
from agfnet.study.variants import VARIANTS
from agfnet.terminal import warn

NETWORKS: tuple[str, ...] = get_args(get_type_hints(ModelConfig)["method"])
DECIDED_BY_STUDY = ("name", "runs", "seed", "resume")  # settings of training
DECIDED_BY_RUN = ("run", "cases", "split", "name")  # settings of scoring
UNNAMED = ""  # the setting of a study that names none
TEST = "test"  # the table of results on the run's own test split


class RunKey(NamedTuple):
    """The position of a run in its study."""

    method: str
    fold: int | None
    seed: int
    setting: str


@dataclass(frozen=True, kw_only=True)
class Run:
    """One network of the study."""

    method: str
    fold: int | None
    seed: int
    setting: str
    config: TrainConfig
    scoring: EvaluateConfig
    """Settings of its evaluation; its folder is added at that time."""
    evaluate: Mapping[str, str]
    """Further tables to score: name to path."""
    tables: tuple[str, ...] = (TEST,)
    """Splits of its table that are scored: test, or validation in a search."""

    @property
    def name(self) -> str:
        """Name of the run and of its folder."""
        return self.config.name

    @property
    def folder(self) -> Path:
        """Run folder."""
        return Path(self.config.runs) / self.config.name


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study file, checked."""

    path: Path
    file: StudyFile
    methods: tuple[str, ...]
    reference: str
    settings: tuple[str, ...]
    runs: tuple[Run, ...]
    cohorts: tuple[PhantomConfig, ...]

    @property
    def out(self) -> Path:
        """Folder of the study."""
        return Path(self.file.out)

    @property
    def title(self) -> str:
        """Title of the study for readers."""
        return self.file.title or self.path.stem


def read_study(path: str | Path) -> Study:
    """Read and check a study file.

    Raises:
        ConfigError: The file, a name or a value in it is wrong.
    """
    path = Path(path)
    file = build(StudyFile, overlay({}, read_yaml(path), StudyFile, str(path)), str(path))
    require_known(file.metrics, METRICS, f"{path}: metrics")
    if isinstance(file.rope, dict):
        require_known(list(file.rope), dict.fromkeys(file.metrics), f"{path}: rope")
    check_study_file(file, str(path))
    base = _base(file, str(path))
    changes = _by_name(file.methods)
    for group, changed in (("methods", changes), ("settings", file.settings)):
        for name, change in changed.items():
            if isinstance(change, Mapping):
                refuse_names(_decided(file), change, f"{path}: {group}.{name}")
    methods = {
        name: _method(base, name, change, f"{path}: methods.{name}")
        for name, change in changes.items()
    }
    reference = next(iter(methods)) if file.reference is None else file.reference
    require_known([reference], methods, f"{path}: reference")
    settings = file.settings or {UNNAMED: {}}
    named = dict.fromkeys([*methods, *file.settings, TEST, *file.evaluate])
    require_known(list(file.names), named, f"{path}: names")
    scoring = _scoring(file, f"{path}: scoring")
    runs = [
        _run(
            file,
            methods[method],
            RunKey(method, fold, seed, setting),
            scoring=scoring,
            where=f"{path}: settings.{setting}" if setting else str(path),
        )
        for seed, fold, setting, method in product(
            file.seeds, [None] if file.folds is None else file.folds, settings, methods
        )
    ]
    _require_distinct(runs, path)
    _warn_of_equal_runs(runs, str(path))
    if file.search is not None:
        _check_search(file, file.search, base, str(path))
    return Study(
        path=path,
        file=file,
        methods=tuple(methods),
        reference=reference,
        settings=tuple(settings),
        runs=tuple(runs),
        cohorts=plan_cohorts(file, str(path)),
    )


def _decided(file: StudyFile) -> list[str]:
    """Return the settings of training that methods and settings of this study cannot change."""
    decided = list(DECIDED_BY_STUDY)
    if file.cohort is not None:
        decided.append("data.cases")
    if file.folds is not None:
        decided.append("data.fold")
    return decided


def require_known(names: Sequence[str], valid: Mapping[str, object], where: str) -> None:
    """Raise ConfigError for the first name that is not among the valid ones."""
    for name in names:
        if name not in valid:
            raise ConfigError(f"{where}: no {name!r}; {near(name, valid)}")


def _by_name(methods: list[str] | dict[str, Any]) -> dict[str, Any]:
    return dict.fromkeys(methods) if isinstance(methods, list) else methods


def _base(file: StudyFile, where: str) -> dict[str, Any]:
    decided = [name for name in _decided(file) if name != "data.cases"]
    refuse_names(decided, file.base, f"{where}: base")
    defaults = as_values(TrainConfig(data=DataConfig(cases="")))
    base = overlay(defaults, file.base, TrainConfig, f"{where}: base")
    config = build(TrainConfig, base, f"{where}: base")
    if (file.cohort is None) != bool(config.data.cases):
        raise ConfigError(f"{where}: give either base.data.cases, or a phantom cohort")
    return base


def _method(base: dict[str, Any], name: str, change: Any, where: str) -> dict[str, Any]:
    """Return the base with the changes of a method."""
    if isinstance(change, Mapping):
        return overlay(base, change, TrainConfig, where)
    known_as = name if change is None else str(change)
    if known_as in FORMER_METHODS:
        warn(renamed(f"method {known_as}", FORMER_METHODS[known_as]))
        known_as = FORMER_METHODS[known_as]
    if known_as in NETWORKS:
        return overlay(base, {"model.method": known_as}, TrainConfig, where)
    if known_as in VARIANTS:
        network = base["model"]["method"]
        if network != "agfnet":
            raise ConfigError(
                f"{where}: {known_as!r} is a variant of AGFnet, but base.model.method is "
                f"{network!r}; leave it out of the base"
            )
        return as_values(VARIANTS[known_as](build(TrainConfig, base, where)))
    raise ConfigError(
        f"{where}: {known_as!r} is no network and no variant; "
        f"{near(known_as, [*NETWORKS, *VARIANTS])} "
        "To define a method, give its changes by dotted name, or {} for the base"
    )


def _scoring(file: StudyFile, where: str) -> EvaluateConfig:
    refuse_names(DECIDED_BY_RUN, file.scoring, where)
    defaults = as_values(EvaluateConfig(run=""))
    return build(EvaluateConfig, overlay(defaults, file.scoring, EvaluateConfig, where), where)


def _run(
    file: StudyFile, method: dict[str, Any], key: RunKey, *, scoring: EvaluateConfig, where: str
) -> Run:
    values = overlay(method, file.settings.get(key.setting, {}), TrainConfig, where)
    config = build(TrainConfig, values, f"{where}, method {key.method}")
    cases = config.data.cases if file.cohort is None else _cohort_table(file, key.seed, "")
    fold = config.data.fold if key.fold is None else key.fold
    fold_part = [] if key.fold is None else [f"fold{key.fold}"]
    parts = [key.method, *fold_part, f"seed{key.seed}", key.setting]
    return Run(
        **key._asdict(),
        config=replace(
            config,
            data=replace(config.data, cases=cases, fold=fold),
            name="-".join(filter(None, map(slug, parts))),
            runs=str(Path(file.out) / "runs"),
            seed=key.seed,
        ),
        scoring=scoring,
        evaluate={
            name: table if isinstance(table, str) else _cohort_table(file, key.seed, name)
            for name, table in file.evaluate.items()
        },
    )


def _cohort_table(file: StudyFile, seed: int, name: str) -> str:
    return str(cohort_folder(file, seed, name) / "cases.csv")


def _check_search(file: StudyFile, search: SearchConfig, base: dict[str, Any], where: str) -> None:
    require_known([search.metric], METRICS, f"{where}: search.metric")
    refuse_names(_decided(file), search.parameters, f"{where}: search.parameters")
    for name in ("settings", "evaluate"):
        if getattr(file, name):
            raise ConfigError(f"{where}: {name}: a search has none; leave it out")
    for name, space in search.parameters.items():
        values = space if isinstance(space, list) else [space.low, space.high]
        if not values:
            raise ConfigError(f"{where}: search.parameters.{name}: no choices; name some")
        for value in values:
            overlay(base, {name: value}, TrainConfig, f"{where}: search.parameters")
            allowed = range_of(TrainConfig, name)
            is_number = isinstance(value, int | float)
            if allowed and is_number and not allowed.low <= value <= allowed.high:
                raise ConfigError(
                    f"{where}: search.parameters.{name}: {value} is out of range; expected "
                    f"{allowed}"
                )


def _warn_of_equal_runs(runs: Sequence[Run], where: str) -> None:
    """Warn if two methods or settings have the same settings, so that their results are equal."""
    first: dict[str, Run] = {}
    for run in runs:
        if (run.seed, run.fold) == (runs[0].seed, runs[0].fold):
            other = first.setdefault(repr(replace(run.config, name="")), run)
            if other is not run:
                named = [
                    " ".join(repr(name) for name in names if name)
                    for names in ((other.method, other.setting), (run.method, run.setting))
                ]
                warn(
                    f"{where}: {named[0]} and {named[1]} have the same settings; their results "
                    "will be equal"
                )


def _require_distinct(runs: Sequence[Run], path: Path) -> None:
    first: dict[str, Run] = {}
    for run in runs:
        other = first.setdefault(run.name, run)
        if other is not run:
            raise ConfigError(
                f"{path}: {other.method!r} {other.setting!r} and {run.method!r} {run.setting!r} "
                f"would share the folder {run.name}; rename one"
            )
