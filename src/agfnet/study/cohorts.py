"""Phantom cohorts of a study: their settings, tables and rendering."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from agfnet.config import PhantomConfig, StudyFile
from agfnet.config.renamed import update
from agfnet.errors import ConfigError, RunError
from agfnet.files import write_text
from agfnet.locks import locked
from agfnet.phantom.cohort import make_cohort
from agfnet.phantom.presets import resolve
from agfnet.study.settings import as_values, build, overlay, refuse_names, slug
from agfnet.terminal import bar
from agfnet.training.run_folder import differences


def cohort_folder(file: StudyFile, seed: int, name: str) -> Path:
    """Folder of the training cohort (empty name) or of a cohort of `evaluate`."""
    parts = ["cohort", *([f"seed{seed}"] if file.cohort_per_seed else []), slug(name)]
    return Path(file.out) / "cohorts" / "-".join(filter(None, parts))


def plan_cohorts(file: StudyFile, where: str) -> tuple[PhantomConfig, ...]:
    """Settings of the phantom cohorts of a study: for training, and for further evaluation.

    Raises:
        ConfigError: A name or value is wrong, or a cohort of `evaluate` changes nothing.
    """
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
    decided = ("out", "seed") if file.cohort_per_seed else ("out",)
    refuse_names(decided, file.cohort, f"{where}: cohort")
    start = overlay(
        as_values(PhantomConfig(out="")), file.cohort, PhantomConfig, f"{where}: cohort"
    )
    cohorts = []
    for seed in file.seeds if file.cohort_per_seed else file.seeds[:1]:
        for name, change in {"": {}, **changes}.items():
            setting = f"{where}: evaluate.{name}" if name else f"{where}: cohort"
            values = overlay(start, change, PhantomConfig, setting)
            values["out"] = str(cohort_folder(file, seed, name))
            if file.cohort_per_seed:
                values["seed"] = seed
            config = build(PhantomConfig, values, setting)
            content = _content(config)
            if not name:
                training = content
            elif content == training:
                raise ConfigError(f"{setting}: changes nothing of the cohort; give it other values")
            cohorts.append(config)
    return tuple(cohorts)


def make_cohorts(cohorts: Sequence[PhantomConfig]) -> None:
    """Render the phantom cohorts of a study that do not exist yet.

    Raises:
        RunError: A cohort exists with other settings.
    """
    for cohort in cohorts:
        folder = Path(cohort.out)
        settings = {**as_values(cohort), "split": list(cohort.split)}
        del settings["workers"]  # the number of workers does not change the files
        file = folder.with_name(f"{folder.name}.yaml")
        lock = folder.with_name(f"{folder.name}.lock")
        with locked([lock], wait=-1, cure=f"delete {lock}"):  # another shard may be rendering it
            if (folder / "cases.csv").is_file():
                before = update(_read_settings(file, folder), PhantomConfig)
                if changed := differences(before, settings):
                    raise RunError(
                        f"{folder}: is a cohort with other settings ({', '.join(changed)}); give "
                        "the study another `out`, or delete it with its runs"
                    )
                continue
            write_text(file, yaml.safe_dump(settings, sort_keys=False))
            with bar(f"rendering {folder.name}") as progress:
                make_cohort(cohort, progress=progress)


def _read_settings(file: Path, folder: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        content = None
    if not isinstance(content, dict):
        raise RunError(
            f"{folder}: holds a table, but {file.name} next to it does not tell with which "
            "settings it was made; give the study another `out`, or delete the folder"
        )
    return content


def _content(config: PhantomConfig) -> dict[str, Any]:
    """All values that determine a cohort, including those of its preset."""
    return as_values(replace(config, out="")) | as_values(resolve(config))
