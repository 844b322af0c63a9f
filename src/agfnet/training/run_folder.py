"""The run folder at the start of a training: its settings, its environment, and what may resume."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import yaml

from agfnet.config import DataConfig, TrainConfig
from agfnet.config.renamed import relative_table, run_settings
from agfnet.data.table import CasesTable, cases_hash
from agfnet.errors import RunError
from agfnet.files import remove_temporary, write_json, write_text
from agfnet.locks import locked
from agfnet.training.environment import (
    ENVIRONMENT,
    describe_table,
    differing_versions,
    environment,
    read_environment,
)

SETTINGS, PLAN = "config.yaml", "plan.json"
LOCK = ".lock"
"""File of a run folder while a process trains there."""
NEUTRAL = {"data": ("cache", "cache_mb", "feature_cache_mb", "workers")}
"""Settings that do not change the result."""


@contextmanager
def locked_run(folder: Path, *, force: bool) -> Iterator[None]:
    """Hold the lock of a run folder, and remove what a killed process has left in it.

    Args:
        folder: the run folder, which may be new.
        force: take over the lock of another process.

    Raises:
        RunError: another process holds the lock.
    """
    cure = "take the run over with --break-lock"
    try:
        with locked([folder / LOCK], force=force, cure=cure):
            remove_temporary(folder)
            yield
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()  # an empty one: nothing was started


def check_run(folder: Path, config: TrainConfig, table: CasesTable) -> None:
    """Check that a run can start in a folder or, with `config.resume`, go on in it.

    The path of the table may change, but not its content.

    Raises:
        RunError: the folder holds a run and `config.resume` is False, or its run was started with
            other settings or with another table, or has lost what tells this.
    """
    if not folder.exists() or all(path.name == LOCK for path in folder.iterdir()):
        return
    if not config.resume:
        raise RunError(
            f"{folder}: a run of this name exists; give another --name, continue it with --resume,"
            " or delete the folder"
        )
    for name in (SETTINGS, ENVIRONMENT):
        if not (folder / name).is_file() and any(folder.glob("checkpoints/*.ckpt")):
            raise RunError(
                f"{folder / name}: is missing, so that nothing tells with which settings and table"
                " the checkpoints were trained; copy it from a backup, or delete the run folder and"
                " train again"
            )
    if (folder / SETTINGS).is_file():
        before = run_settings(folder)
        before["data"]["cases"] = str(Path(config.data.cases).absolute())  # compared by its content
        if changed := changed_settings(before, config):
            raise RunError(
                f"{folder}: was started with other settings ({', '.join(changed)});"
                " resume with the same ones, or give another --name"
            )
    if (folder / ENVIRONMENT).is_file():
        check_table(folder, read_environment(folder), table)


def check_table(folder: Path, environment: dict[str, Any], table: CasesTable) -> None:
    """Check that a table is the one that a run was started with.

    Raises:
        RunError: its content has changed.
    """
    if difference := table_difference(environment, table):
        raise RunError(
            f"{table.path}: is not the table that {folder} was started with ({difference});"
            " restore the table, or give another --name to train with the changed one"
        )


def table_difference(environment: Mapping[str, Any], table: CasesTable) -> str:
    """Return how a table differs from the one of an environment; empty if its content is equal."""
    if environment["data_sha256"] == cases_hash(table):
        return ""
    before, after = environment.get("table"), describe_table(table)
    if not before:
        return "its SHA-256 differs"
    if before["lesions"] != after["lesions"]:
        return f"{after['lesions']} lesions instead of {before['lesions']}"
    names = differences(before["columns"], after["columns"])
    return f"other values in {', '.join(names) or 'its image files'}"


def write_run(
    folder: Path, config: TrainConfig, table: CasesTable, plan: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Write the settings and the environment of a run, and why settings were chosen if they were.

    A run that is continued keeps its environment, with a warning if the present one differs. The
    plan comes first: a run with settings is resumed with them, and makes no plan again.
    """
    if plan:
        write_json(folder / PLAN, list(plan))
    write_text(folder / SETTINGS, yaml.safe_dump(record(config), sort_keys=False))
    content = environment(config.seed, table)
    if (folder / ENVIRONMENT).is_file():
        changes = differing_versions(read_environment(folder), content)
        if changes:
            logging.getLogger(__name__).warning(
                "%s was started with %s; the result may differ in the last digits",
                folder,
                ", ".join(f"{name} {old} (now {new})" for name, old, new in changes),
            )
        return
    write_json(folder / ENVIRONMENT, content | relative_table(table.path, folder))


def record(config: TrainConfig) -> dict[str, Any]:
    """Return the settings as `config.yaml` holds them; the path of the table is absolute."""
    data = replace(config.data, cases=str(Path(config.data.cases).absolute()))
    config = replace(config, data=data, resume=False, break_lock=False)
    plain: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return plain


def changed_settings(before: dict[str, Any], config: TrainConfig) -> list[str]:
    """Return the dotted names of the settings that changed since `record` and affect results."""
    before, after = json.loads(json.dumps(before)), record(config)
    before["data"]["cases"] = str(Path(before["data"]["cases"]).absolute())
    for group, values in record(TrainConfig(data=DataConfig(cases=""))).items():
        # an older run lacks settings: it had the default in effect
        before[group] = (
            values | before.get(group, {})
            if isinstance(values, dict)
            else before.get(group, values)
        )
    for group, names in NEUTRAL.items():
        for name in names:
            before[group].pop(name, None)
            after[group].pop(name)
    before["fit"] = after["fit"]
    if not after["optim"]["accumulate"]:  # was chosen at the start
        after["optim"]["accumulate"] = before["optim"]["accumulate"]
    before["runs"] = after["runs"]  # the folder may be named by another path
    return differences(before, after)


def differences(before: object, after: object, name: str = "") -> list[str]:
    """Return the dotted names of the settings that differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            dotted
            for key in sorted({*before, *after}, key=str)
            for dotted in differences(
                before.get(key), after.get(key), f"{name}.{key}" if name else str(key)
            )
        ]
    return [] if before == after else [name]
