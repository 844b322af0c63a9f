"""Search settings of every method with Optuna, on validation cases only.

Every method gets the same number of trials, so that the comparison is fair. The objective is one
metric on the validation split, mean over the study's folds and seeds, before calibration; no test
case is scored. With several folds or seeds, a trial that is worse than the median after some of
them is pruned.

Trials are stored in `search.db` in the study's folder. An interrupted search continues; with one
worker it reaches the same trials, since the next settings depend on the finished trials only.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agfnet.config import RangeConfig, SearchConfig, StudyConfig, TrainConfig
from agfnet.errors import AgfnetError, ConfigError, RunError
from agfnet.inference.predictions import read_predictions
from agfnet.metrics.summary import LOWER_IS_BETTER, METRICS
from agfnet.study.executors import execute
from agfnet.study.executors.job import VAL, metrics_file
from agfnet.study.plan import Run, Study
from agfnet.study.results import Progress
from agfnet.study.settings import as_values, build, overlay, slug

if TYPE_CHECKING:
    import optuna

STORAGE = "search.db"
INTERRUPTED = "interrupted"  # attribute of an Optuna study: numbers of trials that were restarted
REQUEST = "asked"  # attribute of an Optuna study: what the search was started with
ERROR = "error"  # attribute of an Optuna trial


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial of settings for a method."""

    method: str
    state: str
    """`complete`, `pruned` or `failed`."""
    value: float
    """Value of the metric; nan unless complete."""
    parameters: dict[str, Any]
    error: str = ""


def run_search(study: Study, config: StudyConfig, *, progress: Progress) -> list[Trial]:
    """Run trials until every method has the number requested; return all of them.

    Raises:
        ConfigError: Optuna is not installed.
        RunError: The search was started with other parameters.
    """
    try:
        import optuna
    except ImportError as error:
        raise ConfigError("search: needs Optuna; pip install 'agfnet[tune]'") from error
    assert study.file.search is not None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.RDBStorage(f"sqlite:///{(study.out / STORAGE).absolute()}")
    trials: list[Trial] = []
    total = study.file.search.trials * len(study.methods)
    try:
        for method in study.methods:
            search = _open(study, study.file.search, method, storage)
            while (remaining := study.file.search.trials - len(_ended(search))) > 0:
                progress(len(trials) + len(_ended(search)), total)
                _run_batch(study, config, search, method, min(remaining, max(1, config.workers)))
            trials += [_trial(method, frozen) for frozen in _ended(search)]
            progress(len(trials), total)
    finally:
        storage.engine.dispose()
    return trials


def best_trials(trials: Sequence[Trial], metric: str) -> dict[str, Trial]:
    """Return the best complete trial of each method that has one."""
    sign = 1 if metric in LOWER_IS_BETTER else -1
    best: dict[str, Trial] = {}
    for trial in sorted(trials, key=lambda trial: sign * trial.value):
        if trial.state == "complete":
            best.setdefault(trial.method, trial)
    return best


def _open(
    study: Study, search: SearchConfig, method: str, storage: optuna.storages.BaseStorage
) -> optuna.Study:
    """Open Optuna's study of a method; trials that were interrupted are queued first."""
    import optuna

    lower = search.metric in LOWER_IS_BETTER
    opened = optuna.create_study(
        storage=storage,
        study_name=method,
        load_if_exists=True,
        direction="minimize" if lower else "maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
    )
    request = {
        "parameters": as_values(search)["parameters"],
        "metric": search.metric,
        "runs": [as_values(run.config) for run in study.runs if run.method == method],
    }
    request = json.loads(json.dumps(request))
    if opened.user_attrs.get(REQUEST, request) != request:
        raise RunError(
            f"{study.out / STORAGE}: the search of {method} was started with other settings, "
            "parameters, metric or seeds; give the study another `out`"
        )
    opened.set_user_attr(REQUEST, request)
    if not opened.get_trials():
        for parameters in _grid(search):
            opened.enqueue_trial(parameters)
    for trial in opened.get_trials(states=[optuna.trial.TrialState.RUNNING]):
        opened.set_user_attr(INTERRUPTED, [*_interrupted(opened), trial.number])
        opened.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        opened.enqueue_trial(trial.params)
    return opened


def _grid(search: SearchConfig) -> list[dict[str, str]]:
    """Return all combinations, if every parameter has a list and there is one trial for each."""
    choices = [
        [(name, json.dumps(choice)) for choice in values]
        for name, values in search.parameters.items()
        if isinstance(values, list)
    ]
    combinations = [dict(pairs) for pairs in itertools.product(*choices)]
    complete = len(choices) == len(search.parameters) and len(combinations) == search.trials
    return combinations if complete else []


def _interrupted(search: optuna.Study) -> list[int]:
    return list(search.user_attrs.get(INTERRUPTED, []))


def _ended(search: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Return the finished trials, without those that were interrupted."""
    interrupted = _interrupted(search)
    return [
        trial
        for trial in search.get_trials()
        if trial.state.is_finished() and trial.number not in interrupted
    ]


def _run_batch(
    study: Study, config: StudyConfig, search: optuna.Study, method: str, count: int
) -> None:
    """Run `count` trials at the same time, fold by fold and seed by seed."""
    import optuna

    assert study.file.search is not None
    metric = study.file.search.metric
    active = _ask(study.file.search, search, count)
    scores: dict[int, list[float]] = {trial.number: [] for trial in active}
    blocks = [run for run in study.runs if run.method == method]
    for step, block in enumerate(blocks):
        runs = {}
        for trial in list(active):
            try:
                runs[trial.number] = _run(study, block, _decode(trial.params))
            except AgfnetError as error:  # settings that contradict each other
                active.remove(trial)
                _fail(search, trial, str(error))
        errors = {run.name: error for run, error in execute(list(runs.values()), config)}
        for trial in list(active):
            run = runs[trial.number]
            value = math.nan if errors[run.name] else _score(run, metric)
            scores[trial.number].append(value)
            mean = math.fsum(scores[trial.number]) / len(scores[trial.number])
            if not math.isfinite(mean):
                active.remove(trial)
                _fail(search, trial, errors[run.name] or f"{metric} is not defined")
                continue
            trial.report(mean, step)
            if step + 1 == len(blocks):
                search.tell(trial, mean)
            elif trial.should_prune():
                active.remove(trial)
                search.tell(trial, state=optuna.trial.TrialState.PRUNED)


def _ask(config: SearchConfig, search: optuna.Study, count: int) -> list[optuna.Trial]:
    """Draw the settings of new trials; each draw has a seed that depends on the trials before."""
    import optuna

    spaces = {name: _space(values) for name, values in config.parameters.items()}
    trials: list[optuna.Trial] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        for _ in range(count):
            search.sampler = optuna.samplers.TPESampler(
                seed=100_003 * config.seed + len(_ended(search)) + len(trials),
                constant_liar=count > 1,
            )
            trials.append(search.ask(spaces))
    return trials


def _fail(search: optuna.Study, trial: optuna.Trial, error: str) -> None:
    import optuna

    trial.set_user_attr(ERROR, error.splitlines()[0])
    search.tell(trial, state=optuna.trial.TrialState.FAIL)


def _space(values: RangeConfig | list[Any]) -> optuna.distributions.BaseDistribution:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(values, list):
        return CategoricalDistribution([json.dumps(choice) for choice in values])
    if isinstance(values.low, int) and isinstance(values.high, int):
        return IntDistribution(values.low, values.high, log=values.log)
    return FloatDistribution(values.low, values.high, log=values.log)


def _decode(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return Optuna's parameters as changes of settings; choices are stored as JSON."""
    return {
        name: json.loads(value) if isinstance(value, str) else value
        for name, value in parameters.items()
    }


def _run(study: Study, block: Run, parameters: dict[str, Any]) -> Run:
    """Return a run with other settings; equal settings share a folder."""
    where = f"{study.path}: search"
    values = overlay(as_values(block.config), parameters, TrainConfig, where)
    digest = hashlib.blake2b(json.dumps(parameters, sort_keys=True).encode(), digest_size=4)
    name = block.name.replace(slug(block.method), f"{slug(block.method)}-{digest.hexdigest()}", 1)
    config = replace(build(TrainConfig, values, where), name=name)
    return replace(block, config=config, tables=(VAL,), evaluate={})


def _score(run: Run, metric: str) -> float:
    cases = read_predictions(metrics_file(run, VAL).with_name("predictions.csv")).labelled()
    return METRICS[metric](cases.probabilities, cases.target)


def _trial(method: str, frozen: optuna.trial.FrozenTrial) -> Trial:
    names = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
    state = names[frozen.state.name]
    complete = state == "complete" and frozen.value is not None
    return Trial(
        method=method,
        state=state,
        value=float(frozen.value) if complete else math.nan,  # type: ignore[arg-type]
        parameters=_decode(frozen.params),
        error=str(frozen.user_attrs.get(ERROR, "")),
    )
