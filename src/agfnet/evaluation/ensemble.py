"""Runs of folds or seeds as one bundle."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import load_file

from agfnet import __version__
from agfnet.bundle import (
    SCHEMA,
    Bundle,
    BundleConfig,
    Calibration,
    read_bundle,
    write_bundle,
)
from agfnet.card import card
from agfnet.config import EnsembleConfig
from agfnet.config.renamed import relative_table, run_settings
from agfnet.errors import ConfigError, RunError
from agfnet.evaluation.calibrate import calibrate_run
from agfnet.evaluation.inputs import run_folder
from agfnet.evaluation.members import ENSEMBLE, cases_of, member_tables, to_classes
from agfnet.evaluation.run import Progress
from agfnet.files import read_record, sha256, write_json, write_text

Array = np.ndarray[Any, Any]
EQUAL = {
    "classes": "classes",
    "labels": "classes (data.labels)",
    "diagnoses": "names and groups of the classes (data.diagnoses)",
    "modalities": "modalities or their preparation (data.modalities)",
    "size": "image size (data.size)",
    "mean": "image statistics",
    "std": "image statistics",
    "model": "network (model)",
}
"""Fields of a bundle's configuration that all members must share, in words."""


@dataclass(frozen=True)
class Member:
    """A run that becomes a part of an ensemble."""

    folder: Path
    bundle: Bundle
    settings: dict[str, Any]  # content of config.yaml
    environment: dict[str, Any]  # content of environment.json


def join_runs(config: EnsembleConfig, *, progress: Progress | None = None) -> Path:
    """Join runs to one bundle and calibrate it; the result is a run folder.

    Raises:
        ConfigError: fewer than two runs, or `out` exists.
        RunError: a run is not finished, or the runs do not fit together.
        DataError: problems of the table or its images.
    """
    if len({Path(run).absolute() for run in config.runs}) < max(2, len(config.runs)):
        raise ConfigError("runs: an ensemble needs two runs or more, each of them once")
    out = Path(config.out)
    if out.exists():
        raise ConfigError(f"out: {out} exists; name a new folder, or delete it")
    members = read_members(config.runs)
    temporary = out.with_name(f".{out.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        write_ensemble(temporary, out, members)
        calibrate_run(temporary, progress=progress)
        temporary.replace(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return out


def read_members(runs: Sequence[str | Path]) -> list[Member]:
    """Read finished runs that fit together.

    Raises:
        RunError: one is not finished, or an ensemble itself, or they do not fit together.
    """
    members = [read_member(run) for run in runs]
    check_equal(members)
    return members


def read_member(run: str | Path) -> Member:
    """Read a finished run.

    Raises:
        RunError: it is not finished, or an ensemble itself.
    """
    folder = run_folder(run)
    if (folder / ENSEMBLE).is_file():
        raise RunError(f"{folder}: is an ensemble already; name its members instead")
    environment = read_record(folder / "environment.json")
    return Member(folder.absolute(), read_bundle(folder), run_settings(folder), environment)


def check_equal(members: Sequence[Member]) -> None:
    """Check that runs have the same classes, inputs, network and lesions, and other weights.

    Raises:
        RunError: they have not.
    """
    first = members[0]
    folder_of: dict[str, Path] = {}
    for member in members:
        digest = sha256(member.bundle.weights)
        if digest in folder_of:
            raise RunError(
                f"{member.folder}: holds the same network as {folder_of[digest]}, which would count"
                " twice; name each run once"
            )
        folder_of[digest] = member.folder
    for member in members[1:]:
        for name, words in EQUAL.items():
            values, expected = (getattr(run.bundle.config, name) for run in (member, first))
            if repr(values) != repr(expected):  # modalities are in order
                raise RunError(
                    f"{member.folder}: has other {words} than {first.folder}; an ensemble joins"
                    " runs with the same settings, of several folds (data.fold) or seeds"
                )
        if lesions_of(member) != lesions_of(first):
            raise RunError(
                f"{member.folder}: was trained with another table than {first.folder}, and which"
                " lesions both know cannot be told; an ensemble joins runs of one table"
            )


def lesions_of(member: Member) -> object:
    """Return what identifies the lesions of a run's table, whatever their split."""
    table = member.environment.get("table")
    if table is None:  # a run of an earlier version
        return member.environment["data_sha256"]
    return {name: digest for name, digest in table["columns"].items() if name != "split"}


def write_ensemble(folder: Path, out: Path, members: Sequence[Member]) -> None:
    """Write the run folder of an ensemble, not calibrated yet, which will move to `out`."""
    settings = members[0].settings | {"name": out.name, "runs": str(out.parent)}
    folder.mkdir(parents=True)
    write_text(folder / "config.yaml", yaml.safe_dump(settings, sort_keys=False))
    table = relative_table(settings["data"]["cases"], out)
    write_json(folder / "environment.json", members[0].environment | table)
    write_members(folder, members)


def write_members(folder: Path, members: Sequence[Member]) -> None:
    """Write which runs were joined, and the bundle of all of them."""
    content = [{"run": str(each.folder), "settings": each.settings} for each in members]
    write_json(folder / ENSEMBLE, {"members": content})
    config = ensemble_config(members)
    write_bundle(folder / "bundle", ensemble_weights(members), config, card(config))


def ensemble_config(members: Sequence[Member]) -> BundleConfig:
    """Return the settings of the bundle."""
    configs = [member.bundle.config for member in members]
    known = [each.optional for each in configs if each.optional is not None]
    optional = None
    if len(known) == len(configs):
        optional = tuple(name for name in known[0] if all(name in each for each in known))
    return replace(
        configs[0],
        members=len(members),
        cases=count_cases(members),
        simulated=any(each.simulated for each in configs),
        optional=optional,
        agfnet=__version__,
        schema=SCHEMA,
    )


def count_cases(members: Sequence[Member]) -> dict[str, dict[str, int]]:
    """Count the labelled cases by class that trained, and that validated, any of the members."""
    config = members[0].bundle.config
    tables = member_tables([each.settings for each in members], config, check_files=False)
    counts = {}
    for split in ("train", "val"):
        cases, _ = to_classes(cases_of(tables, split), config, tables[0].path)
        counts[split] = dict(Counter(case.label for case in cases if case.label))
    return counts


def ensemble_weights(members: Sequence[Member]) -> dict[str, Array]:
    """Return the weights of all members, and the scaling of their log-probabilities."""
    weights: dict[str, Array] = {}
    for number, member in enumerate(members):
        for name, values in load_file(member.bundle.weights).items():
            weights[f"members.{number}.{name}"] = values
    classes = len(members[0].bundle.config.classes)
    scaling = [scaling_of(member.bundle.calibration, classes) for member in members]
    weights["scale"], weights["bias"] = (
        np.stack(part).astype(np.float32) for part in zip(*scaling, strict=True)
    )
    return weights


def scaling_of(calibration: Calibration, classes: int) -> tuple[Array, Array]:
    """Return the factors and offsets (C,) of the log-probabilities of a network.

    Logit adjustment is left out: the calibration of the ensemble adds its own.
    """
    scale, bias = calibration.scaling(classes)
    return np.array(scale), np.array(bias) - np.array(calibration.offsets or np.zeros(classes))
