"""Everything that is read before a run is scored: its bundle and settings, the table, its cases."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agfnet.bundle import BundleConfig
from agfnet.config import EvaluateConfig
from agfnet.config.renamed import run_settings
from agfnet.data.cache import cache_folder
from agfnet.data.splits import require_split
from agfnet.data.table import Case, CasesTable, map_labels
from agfnet.diagnoses import MALIGNANT
from agfnet.errors import ConfigError, DataError, RunError
from agfnet.evaluation.malignant import check_group
from agfnet.evaluation.members import (
    Settings,
    cases_of,
    member_settings,
    member_tables,
    run_table,
)
from agfnet.evaluation.network_warnings import NetworkWarning, read_warnings
from agfnet.explain.compute.sanity_json import read_sanity
from agfnet.files import finish_change
from agfnet.inference.predictions import Predictions, read_predictions
from agfnet.inference.predictor import Predictor

VALIDATION = "validation.csv"
ROBUSTNESS = "robustness.json"


@dataclass(frozen=True, kw_only=True)
class EvaluationInputs:
    """The inputs of an evaluation. Nothing else is read later, except for images."""

    config: EvaluateConfig
    name: str  # of the result
    settings: Mapping[str, Any]  # content of the run's config.yaml
    members: Sequence[Mapping[str, Any]]  # settings of an ensemble's members, or of the run alone
    environment: Mapping[str, Any]  # content of the run's environment.json
    predictor: Predictor
    table: CasesTable
    split: str | None  # None for all cases of the table
    cases: tuple[Case, ...]  # to score, with the network's names of the labels
    excluded: int  # cases whose label the network does not know
    validation: Predictions | None  # of the validation split, for operating points
    reference: Mapping[str, Any] | None  # robustness.json of the reference run
    sanity: Mapping[str, Any] | None  # sanity.json of these weights
    warnings: Sequence[NetworkWarning]  # warnings about the network
    malignant: tuple[str, ...]  # classes of the group; empty for none
    optimal_accuracy: float | None  # Bayes-optimal accuracy, known for phantom cohorts

    @property
    def folder(self) -> Path:
        """Folder of the results."""
        return Path(self.config.run) / "evaluation" / self.name


def read_inputs(config: EvaluateConfig) -> EvaluationInputs:
    """Read and check what `evaluate_run` needs.

    Raises:
        RunError: no such run.
        BundleError: its bundle is missing or damaged.
        ConfigError: a name that is a path, or a class that the network does not know.
        DataError: problems in the table or its images, or labels that the network does not know.
    """
    run = run_folder(config.run)
    name = config.name or (Path(config.cases).stem if config.cases else config.split or "test")
    if Path(name).name != name or name.startswith("."):
        raise ConfigError(f"name: {name!r} must be a plain name, not a path")
    reference = None if config.reference is None else read_reference(config.reference, name)
    settings = run_settings(run)
    split = config.split or (None if config.cases else "test")
    predictor = Predictor.load(run, features=feature_folder(settings))
    bundle = predictor.bundle
    malignant = malignant_classes(config.malignant, bundle.config)
    table = run_table(settings, config.cases, bundle.config)
    part = table.cases if split is None else require_split(table, split)
    members = member_settings(run)
    if split == "test" and config.cases is None and len(members) > 1:
        check_untrained(run, part, members, bundle.config)
    cases, excluded = to_classes(part, bundle.config, table.path)
    validation = run / VALIDATION
    return EvaluationInputs(
        config=config,
        name=name,
        settings=settings,
        members=members,
        environment=json.loads((run / "environment.json").read_text("utf-8")),
        predictor=predictor,
        table=table,
        split=split,
        cases=cases,
        excluded=excluded,
        validation=read_predictions(validation) if validation.is_file() else None,
        reference=reference,
        sanity=read_sanity(run, bundle),
        warnings=read_warnings(run),
        malignant=malignant,
        optimal_accuracy=optimal_accuracy(table.path, table.modalities, split),
    )


def check_untrained(
    run: Path, cases: Sequence[Case], members: Sequence[Settings], config: BundleConfig
) -> None:
    """Check that no member of an ensemble has seen the patient of a test case.

    Raises:
        RunError: a member has.
    """
    tables = member_tables(members, config, check_files=False)
    seen = {case.patient_id for case in cases_of(tables, "train", "val")}
    if any(case.patient_id in seen for case in cases):
        raise RunError(
            f"{run}: its members were tested on different folds, so that each lesion of their table"
            " has trained some of them; evaluate the ensemble on other lesions with --cases TABLE,"
            " and the members one by one on their folds"
        )


def malignant_classes(names: Sequence[str] | None, config: BundleConfig) -> tuple[str, ...]:
    """Return the classes of the malignant group; empty without one, or if it has all classes.

    Args:
        names: setting `malignant`.
        config: of the network.

    Raises:
        ConfigError: a name that is no class, or another group than that of the network.
    """
    group = config.groups.get(MALIGNANT, ())
    if names is None:
        return group if len(group) < len(config.classes) else ()
    check_group(config.classes, names)
    if group and set(names) != set(group):
        raise ConfigError(
            f"malignant: in this network the group is {', '.join(group)}, which its answers also"
            " use; leave the setting out, or train with other groups (data.diagnoses)"
        )
    return tuple(names)


def run_folder(run: str | Path) -> Path:
    """The folder of a run whose training is finished.

    Raises:
        RunError: it is not.
    """
    folder = Path(run)
    if not (folder / "config.yaml").is_file():
        raise RunError(f"{folder}: not a run folder (no config.yaml); expected runs/NAME")
    finish_change(folder / "bundle")
    if not (folder / "bundle" / "config.json").is_file():
        raise RunError(
            f"{folder}: training has not finished; continue it with `agfnet train --resume`"
        )
    return folder


def feature_folder(settings: Mapping[str, Any]) -> Path | None:
    """Return the folder with the feature maps that a training has kept; None if it has not."""
    data = settings["data"]
    if not (data.get("feature_variants") and data.get("feature_cache_mb")):
        return None
    return cache_folder(data.get("cache"), Path(data["cases"]))


def to_classes(
    cases: Sequence[Case], config: BundleConfig, path: Path
) -> tuple[tuple[Case, ...], int]:
    """Translate labels into the network's classes; unlabelled cases are kept.

    Returns:
        The cases, and the number of those excluded because the network does not know their label.

    Raises:
        DataError: a label that is no class, when the network was trained on all labels.
    """
    if config.labels is None:
        for case in cases:
            if case.label not in ("", *config.classes):
                raise DataError(
                    f"{path}:{case.row} column label: '{case.label}' is not a class of this network"
                    f" ({', '.join(config.classes)}); correct it, or leave the cell empty"
                )
    kept, _, excluded = map_labels(cases, config.labels or config.classes, missing_ok=True)
    if not kept:
        raise DataError(f"{path}: no case has one of the classes {', '.join(config.classes)}")
    return kept, excluded


def read_reference(run: str | Path, name: str) -> dict[str, Any]:
    """The robustness of another run in its evaluation of the same name.

    Raises:
        DataError: it has none, or it is damaged.
    """
    path = Path(run) / "evaluation" / name / ROBUSTNESS
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not {"lesions", "clean", "conditions"} <= set(content):
            raise ValueError("it holds no conditions")
    except OSError as error:
        raise DataError(
            f"reference: {path}: cannot be read ({error.strerror}); run `agfnet evaluate {run} "
            "--robustness` on the same table first"
        ) from error
    except ValueError as error:
        raise DataError(f"reference: {path}: is damaged ({error}); evaluate {run} again") from error
    return content


def optimal_accuracy(cases: Path, modalities: Sequence[str], split: str | None) -> float | None:
    """Bayes-optimal accuracy, from the `truth.json` next to the table of a phantom cohort."""
    path = cases.parent / "truth.json"
    if not path.is_file():
        return None
    truth = json.loads(path.read_text(encoding="utf-8"))
    limits = truth["limits_by_split"].get(split, truth["limits"])
    value = limits.get("both" if len(modalities) > 1 else modalities[0])
    return None if value is None else float(value)
