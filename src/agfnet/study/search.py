"""Search for good settings of every method with Optuna, on validation cases alone.

Every method gets the same number of trials, so that none is tuned better than its peers. A trial is
judged by one metric on the validation split, mean over the study's folds and seeds, before
calibration; no test case is scored. Where there are several folds or seeds, a trial that is worse
than the median after some of them is given up (pruned).

Trials are kept in `search.db` in the study's folder. What was stopped goes on; with one worker to
the same trials, since the next settings depend on nothing but the finished ones.
"""

from __future__ import annotations

import hashlib
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
from agfnet.study.collect import Progress
from agfnet.study.execute import execute
from agfnet.study.plan import Run, Study, plain, slug
from agfnet.study.settings import build, lay_over
from agfnet.study.work import VAL, result

if TYPE_CHECKING:
    import optuna

STORAGE = "search.db"
INTERRUPTED = "interrupted"  # attribute of a study: numbers of trials that were begun anew
ERROR = "error"  # attribute of a trial


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Settings that were tried for a method."""

    method: str
    state: str
    """`complete`, `pruned` or `failed`."""
    value: float
    """The metric; nan unless complete."""
    parameters: dict[str, Any]
    error: str = ""


def run_search(study: Study, config: StudyConfig, *, progress: Progress) -> list[Trial]:
    """Try settings until every method has its trials; returns all of them.

    Raises:
        ConfigError: Optuna is not installed.
        RunError: the search was begun with other parameters.
    """
    try:
        import optuna
    except ImportError as error:
        raise ConfigError("search: needs Optuna; pip install 'agfnet[tune]'") from error
    assert study.file.search is not None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.RDBStorage(f"sqlite:///{(study.out / STORAGE).absolute()}")
    found: list[Trial] = []
    in_all = study.file.search.trials * len(study.methods)
    try:
        for method in study.methods:
            search = _open(study, study.file.search, method, storage)
            while (left := study.file.search.trials - len(_past(search))) > 0:
                progress(len(found) + len(_past(search)), in_all)
                _batch(study, config, search, method, min(left, config.workers))
            found += [_trial(method, one) for one in _past(search)]
            progress(len(found), in_all)
    finally:
        storage.engine.dispose()
    return found


def best(trials: Sequence[Trial], metric: str) -> dict[str, Trial]:
    """The best complete trial of each method that has one."""
    sign = 1 if metric in LOWER_IS_BETTER else -1
    found: dict[str, Trial] = {}
    for trial in sorted(trials, key=lambda trial: sign * trial.value):
        if trial.state == "complete":
            found.setdefault(trial.method, trial)
    return found


def _open(
    study: Study, search: SearchConfig, method: str, storage: optuna.storages.BaseStorage
) -> optuna.Study:
    """Optuna's study of a method; trials that were stopped are put first in the queue."""
    import optuna

    lower = search.metric in LOWER_IS_BETTER
    opened = optuna.create_study(
        storage=storage,
        study_name=method,
        load_if_exists=True,
        direction="minimize" if lower else "maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
    )
    asked = {
        "parameters": plain(search)["parameters"],
        "metric": search.metric,
        "runs": [plain(run.config) for run in study.runs if run.method == method],
    }
    asked = json.loads(json.dumps(asked))
    if opened.user_attrs.get("asked", asked) != asked:
        raise RunError(
            f"{study.out / STORAGE}: the search of {method} was begun with other settings, "
            "parameters, metric or seeds; give the study another `out`"
        )
    opened.set_user_attr("asked", asked)
    for trial in opened.get_trials(states=[optuna.trial.TrialState.RUNNING]):
        opened.set_user_attr(INTERRUPTED, [*_interrupted(opened), trial.number])
        opened.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        opened.enqueue_trial(trial.params)
    return opened


def _interrupted(search: optuna.Study) -> list[int]:
    return list(search.user_attrs.get(INTERRUPTED, []))


def _past(search: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Trials that came to an end of their own."""
    interrupted = _interrupted(search)
    return [
        trial
        for trial in search.get_trials()
        if trial.state.is_finished() and trial.number not in interrupted
    ]


def _batch(
    study: Study, config: StudyConfig, search: optuna.Study, method: str, count: int
) -> None:
    """Try `count` settings at the same time, fold by fold and seed by seed."""
    import optuna

    assert study.file.search is not None
    asked = study.file.search
    spaces = {name: _space(given) for name, given in asked.parameters.items()}
    alive: list[optuna.Trial] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        for _ in range(count):
            search.sampler = optuna.samplers.TPESampler(
                seed=100_003 * asked.seed + len(_past(search)) + len(alive),
                constant_liar=count > 1,
            )
            alive.append(search.ask(spaces))
    scores: dict[int, list[float]] = {trial.number: [] for trial in alive}
    blocks = [run for run in study.runs if run.method == method]
    for step, block in enumerate(blocks):
        runs = {}
        for trial in list(alive):
            try:
                runs[trial.number] = _run(study, block, decoded(trial.params))
            except AgfnetError as error:  # settings that do not go together
                alive.remove(trial)
                _give_up(search, trial, str(error))
        errors = {run.name: error for run, error in execute(list(runs.values()), config)}
        for trial in list(alive):
            run = runs[trial.number]
            value = math.nan if errors[run.name] else _score(run, asked.metric)
            scores[trial.number].append(value)
            mean = math.fsum(scores[trial.number]) / len(scores[trial.number])
            if not math.isfinite(mean):
                alive.remove(trial)
                _give_up(search, trial, errors[run.name] or f"{asked.metric} is not defined")
                continue
            trial.report(mean, step)
            if step + 1 == len(blocks):
                search.tell(trial, mean)
            elif trial.should_prune():
                alive.remove(trial)
                search.tell(trial, state=optuna.trial.TrialState.PRUNED)


def _give_up(search: optuna.Study, trial: optuna.Trial, error: str) -> None:
    import optuna

    trial.set_user_attr(ERROR, error.splitlines()[0])
    search.tell(trial, state=optuna.trial.TrialState.FAIL)


def _space(given: RangeConfig | list[Any]) -> optuna.distributions.BaseDistribution:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(given, list):
        return CategoricalDistribution([json.dumps(choice) for choice in given])
    if isinstance(given.low, int) and isinstance(given.high, int):
        return IntDistribution(given.low, given.high, log=given.log)
    return FloatDistribution(given.low, given.high, log=given.log)


def decoded(parameters: dict[str, Any]) -> dict[str, Any]:
    """Optuna's parameters as changes of settings: choices are kept as JSON."""
    return {
        name: json.loads(value) if isinstance(value, str) else value
        for name, value in parameters.items()
    }


def _run(study: Study, block: Run, parameters: dict[str, Any]) -> Run:
    """A run of the study with other settings; the same settings have the same folder."""
    where = f"{study.path}: search"
    values = lay_over(plain(block.config), parameters, TrainConfig, where)
    digest = hashlib.blake2b(json.dumps(parameters, sort_keys=True).encode(), digest_size=4)
    name = block.name.replace(slug(block.method), f"{slug(block.method)}-{digest.hexdigest()}", 1)
    config = replace(build(TrainConfig, values, where), name=name)
    return replace(block, config=config, tables=(VAL,), evaluate={})


def _score(run: Run, metric: str) -> float:
    cases = read_predictions(result(run, VAL).with_name("predictions.csv")).labelled()
    return METRICS[metric](cases.probabilities, cases.target)


def _trial(method: str, found: optuna.trial.FrozenTrial) -> Trial:
    names = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
    state = names[found.state.name]
    complete = state == "complete" and found.value is not None
    return Trial(
        method=method,
        state=state,
        value=float(found.value) if complete else math.nan,  # type: ignore[arg-type]
        parameters=decoded(found.params),
        error=str(found.user_attrs.get(ERROR, "")),
    )
