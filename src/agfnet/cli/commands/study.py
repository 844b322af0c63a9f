"""Run a study of many runs."""

from __future__ import annotations

from agfnet.cli.command import Command
from agfnet.cli.threads import choose_threads
from agfnet.config import StudyConfig, format_duration
from agfnet.terminal import bar, say


def study(config: StudyConfig) -> None:
    if not (config.cpus or config.workers or config.executor == "ray" or config.dry_run):
        choose_threads()
    if config.init is not None:
        with bar("measuring the time of a training step"):
            from agfnet.study.init import init_study

            timed = init_study(config.init, config.file)
        seconds = format_duration(timed.seconds)
        say(f"Wrote {config.file}. The study would take about {seconds}, {timed.how}.")
        return
    from agfnet.study.runner import run_study

    run_study(config)


COMMAND = Command(
    StudyConfig,
    study,
    examples=(
        "agfnet study study.yaml --init data.csv",
        "agfnet study study.yaml --dry-run",
        "agfnet study study.yaml",
    ),
    docs="study.md",
    default_file="study.yaml",
    extra="train",
)
