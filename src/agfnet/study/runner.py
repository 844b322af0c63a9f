"""Run a study: from its file to finished runs, tables and a report."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from agfnet import NOTICE
from agfnet.config import StudyConfig, format_duration, parse_duration, parse_shard
from agfnet.errors import ConfigError, RunError, StoppedError
from agfnet.locks import locked
from agfnet.study.cohorts import make_cohorts
from agfnet.study.executors import execute
from agfnet.study.executors.job import ERROR_LOG, check_table_unchanged, state
from agfnet.study.paper import write_paper
from agfnet.study.plan import TEST, Study, read_study
from agfnet.study.predictions import store_predictions, stored_reader
from agfnet.study.report import write_study
from agfnet.study.results import sections
from agfnet.study.schedule import Schedule, remaining_seconds
from agfnet.study.search import best_trials, run_search
from agfnet.study.search_report import BEST, describe_settings, write_search
from agfnet.study.tables import format_number, metric_title
from agfnet.terminal import bar, say, show_table
from agfnet.training.stopping import stopping_on_signals

LOCKS = "locks"


def run_study(config: StudyConfig) -> None:
    """Do the remaining runs of a study, and write its tables.

    Raises:
        ConfigError: The file or the settings are wrong.
        RunError: Runs failed (the tables are written nevertheless), a folder holds a run with
            other settings, another study is at work in the folder, or this one was stopped.
        StoppedError: A signal of a scheduler has stopped it.
    """
    whole = read_study(config.file)
    study = select_shard(whole, config.shard)
    if config.dry_run:
        show_runs(study)
        return
    if config.predictions is not None:
        write_from_predictions(study, Path(config.predictions))
        return
    locks = [study.out / LOCKS / f"{run.name}.lock" for run in study.runs]
    try:
        with stopping_on_signals(), locked(locks, cure=f"delete {study.out / LOCKS}"):
            make_cohorts(study.cohorts)
            if study.file.search is not None:
                if config.time_limit is not None:
                    raise ConfigError("time_limit: not for a search; set search.trials instead")
                search_settings(study, config)
                return
            failed, not_started = do_runs(study, config)
            if study is whole:
                reasons = failed | dict.fromkeys(not_started, "not started within the time limit")
                with bar("tables") as progress:
                    results = [s for s in sections(study, progress=progress) if s.cells]
                say(f"Report: {write_study(study, results, reasons)}. {NOTICE}")
                store_predictions(study)
                if config.export is not None:
                    say(f"For a paper: {write_paper(study, results, Path(config.export))}")
            if not_started:
                say(
                    f"{len(not_started)} of {len(study.runs)} runs were not started: they would "
                    "not have finished within the time limit. Run the same command again to "
                    "continue."
                )
    except (KeyboardInterrupt, StoppedError) as stop:
        kind = StoppedError if isinstance(stop, StoppedError) else RunError
        raise kind("stopped; run the same command again to continue") from stop
    if failed:
        lines = [f"  {name}: {error}" for name, error in failed.items()]
        raise RunError(
            f"{len(failed)} of {len(study.runs)} runs failed (details in {ERROR_LOG} of the run "
            "folder; run the same command to try again):\n" + "\n".join(lines)
        )


def write_from_predictions(study: Study, path: Path) -> None:
    """Write the tables and the report of a study from its stored predictions, without its runs."""
    if study.file.search is not None:
        raise ConfigError("predictions: a search has none; leave them out")
    read = stored_reader(path, study)
    tables = (TEST, *study.file.evaluate)
    lacking = [run.name for run in study.runs if any(read(run, t) is None for t in tables)]
    with bar("tables") as progress:
        results = [s for s in sections(study, read=read, progress=progress) if s.cells]
    report = write_study(study, results, dict.fromkeys(lacking, f"not complete in {path.name}"))
    say(f"Report: {report}. {NOTICE}")


def select_shard(study: Study, shard: str | None) -> Study:
    """Return the study with the runs of one shard (`i/n`) only; unchanged if None."""
    if shard is None:
        return study
    i, n = parse_shard(shard, "shard")
    if study.file.search is not None:
        raise ConfigError("shard: a search cannot be divided into shards; use workers or Ray")
    return replace(study, runs=study.runs[i - 1 :: n])


def do_runs(study: Study, config: StudyConfig) -> tuple[dict[str, str], list[str]]:
    """Do all runs that are not finished, as far as the time limit allows.

    Returns:
        Name to error of each run that failed, and the names of the runs that were not started.
    """
    remaining = [run for run in study.runs if state(run) != "finished"]
    if remaining:
        check_table_unchanged(study.runs)
    say(f"{len(study.runs)} runs, {len(study.runs) - len(remaining)} of them finished.")
    limit = None if config.time_limit is None else parse_duration(config.time_limit, "time_limit")
    schedule = Schedule(runs=remaining, study=study.runs, limit=limit)
    failed: dict[str, str] = {}
    with bar("runs") as progress:
        start = time.monotonic()
        if remaining:
            progress(0, len(remaining))
        for number, (run, error) in enumerate(execute(schedule, config), start=1):
            progress(number, len(remaining))
            prefix = f"[{number}/{len(remaining)}] {run.name}"
            if error is None:
                seconds = time.monotonic() - start
                say(f"{prefix} finished, {seconds:.0f} s since the start")
            else:
                failed[run.name] = error
                say(f"{prefix} failed: {error}", error=True)
    return failed, [run.name for run in schedule.not_started]


def search_settings(study: Study, config: StudyConfig) -> None:
    """Search settings for each method, and show the best."""
    assert study.file.search is not None
    with bar("trials") as progress:
        trials = run_search(study, config, progress=progress)
    page = write_search(study, trials)
    metric = study.file.search.metric
    best = best_trials(trials, metric)
    rows = [
        [method, format_number(trial.value), describe_settings(trial.parameters)]
        for method, trial in best.items()
    ]
    counts = {name: sum(t.state == name for t in trials) for name in ("pruned", "failed")}
    heading = f"Best of {len(trials)} trials on validation cases"
    show_table(["method", metric_title(metric), "settings"], rows, heading)
    if any(counts.values()):
        say(f"{counts['pruned']} trials were pruned, {counts['failed']} failed.")
    say(f"Wrote {study.out / BEST}. Report: {page}. {NOTICE}")
    reasons = {t.method: t.error for t in reversed(trials) if t.error}  # the first of each method
    if lacking := [
        f"  {name}: {reasons.get(name, 'all were pruned')}"
        for name in study.methods
        if name not in best
    ]:
        raise RunError(
            f"no trial of {len(lacking)} of {len(study.methods)} methods succeeded; correct the "
            "settings or the parameters, and give the study another `out`. The first error of "
            "each:\n" + "\n".join(lacking)
        )


def show_runs(study: Study) -> None:
    """List the runs of a study with their states."""
    columns = ["run", "method", "fold", "seed", "setting", "state"]
    rows = [
        [r.name, r.method, "" if r.fold is None else r.fold, r.seed, r.setting, state(r)]
        for r in study.runs
    ]
    used = [i for i in range(len(columns)) if any(str(row[i]) for row in rows)]
    show_table([columns[i] for i in used], [[row[i] for i in used] for row in rows])
    finished = sum(row[-1] == "finished" for row in rows)
    say(f"{len(rows)} runs, {finished} of them finished.")
    if finished and (seconds := remaining_seconds(study.runs)):
        say(
            f"The others take about {format_duration(seconds)}, one after the other, judged by the "
            "longest finished run of each method."
        )
    if study.file.search is not None:
        trials = study.file.search.trials
        say(f"A search: these are the runs of one trial; each method gets {trials} trials.")
