"""The command `study`: from a file to finished runs, tables and a page."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import yaml

from agfnet import NOTICE
from agfnet.config import PhantomConfig, StudyConfig, place
from agfnet.errors import ConfigError, RunError
from agfnet.files import write_text
from agfnet.phantom.cohort import make_cohort
from agfnet.study.execute import execute
from agfnet.study.locks import locked
from agfnet.study.plan import Study, plain, read_study
from agfnet.study.report import write_study
from agfnet.study.search import best, run_search
from agfnet.study.search_report import BEST, described, write_search
from agfnet.study.tables import figure, title
from agfnet.study.work import FAILED, state
from agfnet.terminal import bar, say, show_table
from agfnet.training.fit import differences

LOCKS = "locks"


def run_study(config: StudyConfig) -> None:
    """Do what is left of a study, and write its tables.

    Raises:
        ConfigError: the file or the settings are wrong.
        RunError: runs failed (the tables are there nevertheless), a folder holds a run with other
            settings, another study is at work in the folder, or this one was stopped.
    """
    study = read_study(config.file)
    chosen = share(study, config.only)
    if config.dry_run:
        show_runs(chosen)
        return
    names = [run.name for run in chosen.runs]
    try:
        with locked(study.out / LOCKS, names):
            make_cohorts(study)
            if study.file.search is not None:
                search(study, config)
            else:
                compare(study, chosen, config)
    except KeyboardInterrupt as stop:
        raise RunError("stopped; the same command goes on where this one was") from stop


def share(study: Study, only: str | None) -> Study:
    """The study with the runs of one share; all of them if None."""
    if only is None:
        return study
    i, n = place(only, "only")
    if study.file.search is not None:
        raise ConfigError("only: a search cannot be shared; use workers or Ray")
    return replace(study, runs=study.runs[i - 1 :: n])


def compare(study: Study, chosen: Study, config: StudyConfig) -> None:
    """Do the chosen runs; then the tables, if they are all of the study."""
    states = [state(run) for run in chosen.runs]
    todo = [run for run, how in zip(chosen.runs, states, strict=True) if how != "finished"]
    say(f"{len(chosen.runs)} runs, {len(chosen.runs) - len(todo)} of them finished.")
    failed: dict[str, str] = {}
    with bar("runs") as progress:
        start = time.monotonic()
        if todo:
            progress(0, len(todo))
        for number, (run, error) in enumerate(execute(todo, config), start=1):
            progress(number, len(todo))
            if error is None:
                seconds = time.monotonic() - start
                say(f"[{number}/{len(todo)}] {run.name} finished, {seconds:.0f} s since the start")
            else:
                failed[run.name] = error
                say(f"[{number}/{len(todo)}] {run.name} failed: {error}", error=True)
    if chosen is study:
        with bar("tables") as progress:
            page = write_study(study, list(failed), progress=progress)
        say(f"Report: {page}. {NOTICE}")
    if failed:
        lines = [f"  {name}: {error}" for name, error in failed.items()]
        raise RunError(
            f"{len(failed)} of {len(chosen.runs)} runs failed (all of it in {FAILED} of the run "
            "folder; the same command tries them again):\n" + "\n".join(lines)
        )


def search(study: Study, config: StudyConfig) -> None:
    """Search settings, and show the best."""
    assert study.file.search is not None
    with bar("trials") as progress:
        trials = run_search(study, config, progress=progress)
    page = write_search(study, trials)
    metric = study.file.search.metric
    rows = [
        [method, figure(trial.value), described(trial.parameters)]
        for method, trial in best(trials, metric).items()
    ]
    counts = {name: sum(t.state == name for t in trials) for name in ("pruned", "failed")}
    heading = f"Best of {len(trials)} trials on validation cases"
    show_table(["method", title(metric), "settings"], rows, heading)
    if any(counts.values()):
        say(f"{counts['pruned']} trials were given up early, {counts['failed']} failed.")
    say(f"Wrote {study.out / BEST}. Report: {page}. {NOTICE}")


def show_runs(study: Study) -> None:
    """List the runs of a study with how far they are."""
    rows = [
        [
            run.name,
            run.method,
            "" if run.fold is None else run.fold,
            run.seed,
            run.setting,
            state(run),
        ]
        for run in study.runs
    ]
    columns = ["run", "method", "fold", "seed", "setting", "state"]
    used = [i for i in range(len(columns)) if any(str(row[i]) for row in rows)]
    show_table([columns[i] for i in used], [[row[i] for i in used] for row in rows])
    done = sum(row[-1] == "finished" for row in rows)
    say(f"{len(rows)} runs, {done} of them finished.")
    if study.file.search is not None:
        trials = study.file.search.trials
        say(f"A search: these are the runs of one trial, and each method gets {trials} trials.")


def make_cohorts(study: Study) -> None:
    """Make the phantom cohorts that are not there yet.

    Raises:
        RunError: one is there with other settings.
    """
    for cohort in study.cohorts:
        folder = Path(cohort.out)
        settings = {**plain(cohort), "split": list(cohort.split)}
        del settings["workers"]  # the files are the same whatever their number
        file = folder.with_name(f"{folder.name}.yaml")
        with locked(folder.parent, [folder.name], wait=-1):  # another share may be making it
            if (folder / "cases.csv").is_file():
                before = yaml.safe_load(file.read_text(encoding="utf-8"))
                if changed := differences(before, settings):
                    raise RunError(
                        f"{folder}: is a cohort with other settings ({', '.join(changed)}); give "
                        "the study another `out`, or delete it with its runs"
                    )
                continue
            write_text(file, yaml.safe_dump(settings, sort_keys=False))
            _make(cohort)


def _make(cohort: PhantomConfig) -> None:
    with bar(f"rendering {Path(cohort.out).name}") as progress:
        make_cohort(cohort, progress=progress)
