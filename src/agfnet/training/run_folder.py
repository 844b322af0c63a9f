"""The run folder at the start of a training: its settings, its environment, and what may resume."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml

from agfnet import __version__
from agfnet.config import DataConfig, TrainConfig
from agfnet.config.renamed import run_settings
from agfnet.data.case import JOIN, relative_to
from agfnet.data.table import CasesTable, cases_hash
from agfnet.errors import RunError
from agfnet.files import write_json, write_text

SETTINGS, ENVIRONMENT, PLAN = "config.yaml", "environment.json", "plan.json"
NEUTRAL = {"data": ("cache", "cache_mb", "feature_cache_mb", "workers")}
"""Settings that do not change the result."""


def check_run(folder: Path, config: TrainConfig, table: CasesTable) -> None:
    """Check that a run can start in a folder or, with `config.resume`, go on in it.

    The path of the table may change, but not its content.

    Raises:
        RunError: the folder holds a run and `config.resume` is False, or its run was started with
            other settings or with another table.
    """
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not config.resume:
        raise RunError(
            f"{folder}: a run of this name exists; give another --name, continue it with --resume,"
            " or delete the folder"
        )
    environment = folder / ENVIRONMENT
    if (folder / SETTINGS).is_file():
        before = run_settings(folder)
        before["data"]["cases"] = str(Path(config.data.cases).absolute())  # compared by its content
        if changed := changed_settings(before, config):
            raise RunError(
                f"{folder}: was started with other settings ({', '.join(changed)});"
                " resume with the same ones, or give another --name"
            )
    if environment.is_file():
        check_table(folder, json.loads(environment.read_text(encoding="utf-8")), table)


def check_table(folder: Path, environment: dict[str, Any], table: CasesTable) -> None:
    """Check that a table is the one that a run was started with.

    Raises:
        RunError: its content has changed.
    """
    if environment["data_sha256"] == cases_hash(table):
        return
    before, after = environment.get("table"), describe_table(table)
    difference = "its SHA-256 differs"
    if before and before["lesions"] != after["lesions"]:
        difference = f"{after['lesions']} lesions instead of {before['lesions']}"
    elif before:
        names = differences(before["columns"], after["columns"])
        difference = f"other values in {', '.join(names) or 'its image files'}"
    raise RunError(
        f"{table.path}: is not the table that {folder} was started with ({difference}); restore"
        " the table, or give another --name to train with the changed one"
    )


def describe_table(table: CasesTable) -> dict[str, Any]:
    """Return the number of lesions and a digest of each column that training depends on."""
    columns = {
        name: [getattr(case, name) for case in table]
        for name in ("lesion_id", "patient_id", "label", "split")
    }
    relative = relative_to(table.path.parent)
    for name in table.modalities:
        columns[name] = [JOIN.join(map(relative, case.images[name])) for case in table]
    return {
        "lesions": len(table.cases),
        "columns": {
            name: hashlib.sha256("\0".join(cells).encode()).hexdigest()[:16]
            for name, cells in columns.items()
        },
    }


def write_run(
    folder: Path, config: TrainConfig, table: CasesTable, plan: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Write the settings and the environment of a run, and why settings were chosen if they were.

    The plan comes first: a run with settings is resumed with them, and makes no plan again.
    """
    if plan:
        write_json(folder / PLAN, list(plan))
    write_text(folder / SETTINGS, yaml.safe_dump(record(config), sort_keys=False))
    write_json(folder / ENVIRONMENT, environment(config.seed, table))


def record(config: TrainConfig) -> dict[str, Any]:
    """Return the settings as `config.yaml` holds them; the path of the table is absolute."""
    data = replace(config.data, cases=str(Path(config.data.cases).absolute()))
    plain: dict[str, Any] = json.loads(json.dumps(asdict(replace(config, data=data, resume=False))))
    return plain


def changed_settings(before: dict[str, Any], config: TrainConfig) -> list[str]:
    """Return the dotted names of the settings that changed since `record` and affect results."""
    before, after = json.loads(json.dumps(before)), record(config)
    before["data"]["cases"] = str(Path(before["data"]["cases"]).absolute())
    for group, values in asdict(TrainConfig(data=DataConfig(cases=""))).items():
        if isinstance(values, dict):  # an older run lacks settings: it had the default in effect
            before[group] = json.loads(json.dumps(values)) | before.get(group, {})
    for group, names in NEUTRAL.items():
        for name in names:
            before[group].pop(name, None)
            after[group].pop(name)
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


def environment(seed: int, table: CasesTable) -> dict[str, Any]:
    """Return what is needed to repeat the run: versions, device, seed and data."""
    packages = ("torch", "torchvision", "timm", "lightning", "numpy", "pillow", "scipy")
    return {
        "agfnet": __version__,
        "git": git_version(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        "packages": {name: version(name) for name in packages},
        "seed": seed,
        "data_sha256": cases_hash(table),
        "table": describe_table(table),
    }


def git_version() -> str | None:
    """Return the commit of the source code; None without git or outside a repository."""
    try:
        git = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return git.stdout.strip() or None
