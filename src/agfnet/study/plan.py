"""What a study file asks for: its runs, each with all its settings, and its phantom cohorts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, get_args, get_type_hints

from agfnet.config import (
    DataConfig,
    EvaluateConfig,
    ModelConfig,
    PhantomConfig,
    SearchConfig,
    StudyFile,
    TrainConfig,
)
from agfnet.data.problems import near
from agfnet.errors import ConfigError
from agfnet.metrics.summary import METRICS
from agfnet.phantom.presets import resolve
from agfnet.study.settings import build, lay_over, read_yaml
from agfnet.study.variants import VARIANTS

NETWORKS: tuple[str, ...] = get_args(get_type_hints(ModelConfig)["method"])
OWN = ("name", "runs", "seed", "resume")  # the study decides these, and of a scoring:
OWN_SCORING = ("run", "cases", "split", "name")
PLAIN = ""  # the setting of a study that names none
TEST = "test"  # the table of results on the run's own test split


@dataclass(frozen=True, kw_only=True)
class Run:
    """One network of the study."""

    method: str
    fold: int | None
    seed: int
    setting: str
    config: TrainConfig
    scoring: EvaluateConfig
    """How to score it; its folder is put in then."""
    evaluate: Mapping[str, str]
    """Further tables to score: name to path."""
    tables: tuple[str, ...] = (TEST,)
    """What it is scored on of its own table: test cases, or validation cases in a search."""

    @property
    def name(self) -> str:
        """Its name, which is that of its folder."""
        return self.config.name

    @property
    def folder(self) -> Path:
        """Its run folder."""
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
        """The folder of the study."""
        return Path(self.file.out)


def read_study(path: str | Path) -> Study:
    """Read and check a study file.

    Raises:
        ConfigError: the file, a name or a value in it is wrong.
    """
    path = Path(path)
    file = build(StudyFile, lay_over({}, read_yaml(path), StudyFile, str(path)), str(path))
    known(file.metrics, METRICS, f"{path}: metrics")
    base = _base(file, str(path))
    methods = {
        name: _method(base, name, change, f"{path}: methods.{name}")
        for name, change in _named(file.methods).items()
    }
    reference = next(iter(methods)) if file.reference is None else file.reference
    known([reference], methods, f"{path}: reference")
    settings = file.settings or {PLAIN: {}}
    scoring = _scoring(file, f"{path}: scoring")
    planned = [
        _run(
            file,
            methods[method],
            (method, fold, seed, setting),
            scoring=scoring,
            where=f"{path}: settings.{setting}",
        )
        for seed, fold, setting, method in product(
            file.seeds, [None] if file.folds is None else file.folds, settings, methods
        )
    ]
    _distinct(planned, path)
    if file.search is not None:
        _check_search(file, file.search, base, str(path))
    return Study(
        path=path,
        file=file,
        methods=tuple(methods),
        reference=reference,
        settings=tuple(settings),
        runs=tuple(planned),
        cohorts=_cohorts(file, str(path)),
    )


def known(names: Sequence[str], valid: Mapping[str, object], where: str) -> None:
    """Raise ConfigError for the first name that is not among the valid ones."""
    for name in names:
        if name not in valid:
            raise ConfigError(f"{where}: no {name!r}; {near(name, valid)}")


def slug(text: str) -> str:
    """A name in small letters, digits and hyphens, for folders and files."""
    return re.sub(r"[^\w.]+", "-", text.casefold()).strip("-.")


def plain(config: object) -> dict[str, Any]:
    """Settings as nested plain values."""
    return asdict(config)  # type: ignore[call-overload]


def _leave_out(names: Sequence[str], given: Mapping[str, Any], where: str) -> None:
    """Raise ConfigError for the first name that is given, but is the study's to decide."""
    for name in names:
        if name in given:
            raise ConfigError(f"{where}.{name}: the study decides it; leave it out")


def _named(methods: list[str] | dict[str, Any]) -> dict[str, Any]:
    return dict.fromkeys(methods) if isinstance(methods, list) else methods


def _base(file: StudyFile, where: str) -> dict[str, Any]:
    _leave_out(OWN, file.base, f"{where}: base")
    start = plain(TrainConfig(data=DataConfig(cases="")))
    base = lay_over(start, file.base, TrainConfig, f"{where}: base")
    config = build(TrainConfig, base, f"{where}: base")
    if (file.cohort is None) != bool(config.data.cases):
        raise ConfigError(f"{where}: give either base.data.cases, or a phantom cohort")
    return base


def _method(base: dict[str, Any], name: str, change: Any, where: str) -> dict[str, Any]:
    """The base with what a method changes."""
    if isinstance(change, Mapping):
        return lay_over(base, change, TrainConfig, where)
    chosen = name if change is None else str(change)
    if chosen in NETWORKS:
        return lay_over(base, {"model.method": chosen}, TrainConfig, where)
    if chosen in VARIANTS:
        return plain(VARIANTS[chosen](build(TrainConfig, base, where)))
    raise ConfigError(
        f"{where}: {chosen!r} is no network and no variant; {near(chosen, [*NETWORKS, *VARIANTS])} "
        "Give changes by dotted name for a method of your own, or {} for the base"
    )


def _scoring(file: StudyFile, where: str) -> EvaluateConfig:
    _leave_out(OWN_SCORING, file.scoring, where)
    start = plain(EvaluateConfig(run=""))
    return build(EvaluateConfig, lay_over(start, file.scoring, EvaluateConfig, where), where)


def _run(
    file: StudyFile,
    method: dict[str, Any],
    key: tuple[str, int | None, int, str],
    *,
    scoring: EvaluateConfig,
    where: str,
) -> Run:
    name, fold, seed, setting = key
    values = lay_over(method, file.settings.get(setting, {}), TrainConfig, where)
    config = build(TrainConfig, values, f"{where}, method {name}")
    cases = config.data.cases if file.cohort is None else _table(file, seed, "")
    parts = [name, *([] if fold is None else [f"fold{fold}"]), f"seed{seed}", setting]
    return Run(
        method=name,
        fold=fold,
        seed=seed,
        setting=setting,
        config=replace(
            config,
            data=replace(config.data, cases=cases, fold=config.data.fold if fold is None else fold),
            name="-".join(filter(None, map(slug, parts))),
            runs=str(Path(file.out) / "runs"),
            seed=seed,
        ),
        scoring=scoring,
        evaluate={
            name: given if isinstance(given, str) else _table(file, seed, name)
            for name, given in file.evaluate.items()
        },
    )


def _check_search(file: StudyFile, search: SearchConfig, base: dict[str, Any], where: str) -> None:
    known([search.metric], METRICS, f"{where}: search.metric")
    for name in ("settings", "evaluate"):
        if getattr(file, name):
            raise ConfigError(f"{where}: {name}: a search has none; leave it out")
    for name, given in search.parameters.items():
        values = given if isinstance(given, list) else [given.low, given.high]
        if not values:
            raise ConfigError(f"{where}: search.parameters.{name}: no choices; name some")
        for value in values:
            lay_over(base, {name: value}, TrainConfig, f"{where}: search.parameters")


def _distinct(runs: Sequence[Run], path: Path) -> None:
    first: dict[str, Run] = {}
    for run in runs:
        other = first.setdefault(run.name, run)
        if other is not run:
            raise ConfigError(
                f"{path}: {other.method!r} {other.setting!r} and {run.method!r} {run.setting!r} "
                f"would share the folder {run.name}; rename one"
            )


def _table(file: StudyFile, seed: int, name: str) -> str:
    """The cases table of a phantom cohort of the study."""
    return str(_cohort_folder(file, seed, name) / "cases.csv")


def _cohort_folder(file: StudyFile, seed: int, name: str) -> Path:
    parts = ["cohort", *([f"seed{seed}"] if file.cohort_per_seed else []), slug(name)]
    return Path(file.out) / "cohorts" / "-".join(filter(None, parts))


def _cohorts(file: StudyFile, where: str) -> tuple[PhantomConfig, ...]:
    """The phantom cohorts of a study: the one to train on, and those to evaluate on as well."""
    changes: dict[str, Mapping[str, Any]] = {
        name: change for name, change in file.evaluate.items() if isinstance(change, Mapping)
    }
    if file.cohort is None:
        if changes:
            raise ConfigError(
                f"{where}: evaluate.{next(iter(changes))}: changes of the cohort, but there is no "
                "cohort; name a cases table"
            )
        return ()
    own = ("out", "seed") if file.cohort_per_seed else ("out",)
    _leave_out(own, file.cohort, f"{where}: cohort")
    start = lay_over(plain(PhantomConfig(out="")), file.cohort, PhantomConfig, f"{where}: cohort")
    made = []
    for seed in file.seeds if file.cohort_per_seed else file.seeds[:1]:
        for name, change in {"": {}, **changes}.items():
            place = f"{where}: evaluate.{name}" if name else f"{where}: cohort"
            values = lay_over(start, change, PhantomConfig, place)
            values["out"] = str(_cohort_folder(file, seed, name))
            if file.cohort_per_seed:
                values["seed"] = seed
            config = build(PhantomConfig, values, place)
            drawn = _drawn(config)
            if not name:
                first = drawn
            elif drawn == first:
                raise ConfigError(f"{place}: changes nothing of the cohort; give it other values")
            made.append(config)
    return tuple(made)


def _drawn(config: PhantomConfig) -> dict[str, Any]:
    """All that decides about a cohort, with what its preset says."""
    return plain(replace(config, out="")) | plain(resolve(config))
