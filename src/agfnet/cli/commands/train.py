"""Train one network."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from agfnet.cli.command import CASES_COLUMNS, Command
from agfnet.cli.notes import show_notes
from agfnet.cli.threads import choose_threads
from agfnet.config import TrainCommand, TrainConfig, format_duration
from agfnet.data.problems import Problems
from agfnet.data.rows import read_rows
from agfnet.terminal import bar, next_steps, say, show_result, show_table, show_warnings

if TYPE_CHECKING:
    from agfnet.training.presets import Plan


def train(command: TrainCommand, explicit: frozenset[str]) -> None:
    # a wrong path is refused before torch is loaded, which takes seconds
    table = command.data.cases
    read_rows(Path(table), Problems(table), required=("lesion_id",))
    with bar("loading"):
        from agfnet.bundle import read_bundle
        from agfnet.evaluation.network_warnings import read_warnings
        from agfnet.study.preset import plan_training
        from agfnet.study.run import run
        from agfnet.training.presets import as_record
        from agfnet.training.processes import join

        world = join()
        if world.size == 1:
            choose_threads(threads_before(command))
        plan = world.on_first(
            lambda: plan_training(
                TrainConfig(**{f.name: getattr(command, f.name) for f in fields(TrainConfig)}),
                explicit - {"preset", "time_limit", "dry_run", "reproduce"},
                preset=command.preset,
                time_limit=command.time_limit,
                reproduce=command.reproduce,
            )
        )
    config = plan.config
    if not world.first:  # the first process speaks for all
        if not command.dry_run:
            run(config)
        return
    if plan.choices:
        show_plan(plan, command)
    if command.reproduce is not None:
        show_versions(Path(command.reproduce), config)
    if command.dry_run:
        return
    say(f"Training {config.name} on {config.data.cases}")
    with bar("evaluating", at_once=False) as progress:
        folder = run(config, plan=as_record(plan), progress=progress)
    bundle = read_bundle(folder)
    show_notes(bundle)
    result = folder / "evaluation" / "test"
    if result.is_dir():
        show_result(result)
    else:
        say(f"Wrote {folder / 'bundle'}. The table has no test split, so nothing was evaluated.")
    show_warnings(read_warnings(folder))
    if command.reproduce is not None:
        show_difference(Path(command.reproduce), folder)
    say(next_steps(folder, dict.fromkeys(bundle.config.modalities, "FILE")))


def threads_before(command: TrainCommand) -> int | None:
    """Return the number of threads of the run that is continued or repeated."""
    from agfnet.training.environment import ENVIRONMENT, read_environment

    run = Path(command.runs) / command.name if command.resume else command.reproduce
    if run is None or not (Path(run) / ENVIRONMENT).is_file():
        return None
    return read_environment(Path(run)).get("threads")


def show_versions(run: Path, config: TrainConfig) -> None:
    """Check that the table is that of the run, and print the versions that differ."""
    from agfnet.training.cases import read_table
    from agfnet.training.environment import differing_versions, environment, read_environment
    from agfnet.training.run_folder import check_table

    table = read_table(config.data)
    record = read_environment(run)
    check_table(run, record, table)
    rows = differing_versions(record, environment(config.seed, table))
    if rows:
        title = "What differs, so that the result may differ in the last digits or more"
        show_table(["", "then", "now"], rows, title)
    else:
        say("The versions and the device are those of the run.")


def show_difference(run: Path, again: Path) -> None:
    """Print whether the weights of two runs are equal."""
    from agfnet.training.reproduce import weights_difference

    difference = weights_difference(run, again)
    if difference:
        say(f"The weights differ from those of {run} by {difference:.2g} at most.")
    else:
        say(f"The weights are those of {run}, to the last bit.")


def show_plan(plan: Plan, command: TrainCommand) -> None:
    """Print the settings that were chosen, and why."""
    from agfnet.config.dotted import plain
    from agfnet.network_description import setting_text

    rows = [[c.setting, setting_text(plain(c.value)), c.reason] for c in plan.choices]
    title = f"Settings that were left out, chosen by --preset {command.preset}"
    show_table(["setting", "value", "reason"], rows, title)
    if plan.seconds is not None:
        say(f"Estimated training time: {format_duration(plan.seconds)}.")


COMMAND = Command(
    TrainCommand,
    train,
    examples=(
        "agfnet train --data.cases data.csv --name first",
        "agfnet train --data.cases data.csv --time-limit 20 --dry-run",
        "agfnet train --data.cases data.csv --optim.epochs 30 --data.size 160",
        "agfnet train --data.cases data.csv --data.modalities '[clinical]'",
        "agfnet train --config settings.yaml --name first --resume",
        "agfnet train --reproduce runs/first",
    ),
    docs="method.md",
    columns=CASES_COLUMNS,
    main=(
        "data.cases",
        "preset",
        "time_limit",
        "dry_run",
        "data.modalities",
        "data.size",
        "name",
        "model.method",
        "model.backbone.name",
        "optim.epochs",
        "resume",
        "reproduce",
    ),
    takes_explicit=True,
    extra="train",
)
