"""Everything that is read before a run is scored: its bundle and settings, the table, its cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agfnet.config import EvaluateConfig
from agfnet.config.renamed import run_settings
from agfnet.data.cache import feature_folder
from agfnet.data.splits import require_split
from agfnet.data.table import Case, CasesTable
from agfnet.errors import ConfigError, RunError
from agfnet.evaluation.malignant import malignant_classes
from agfnet.evaluation.members import check_untrained, member_settings, run_table, to_classes
from agfnet.evaluation.network_warnings import NetworkWarning, read_warnings
from agfnet.explain.compute.sanity_json import read_sanity
from agfnet.files import finish_change, read_record
from agfnet.inference.predictions import Predictions, read_predictions
from agfnet.inference.predictor import Predictor
from agfnet.robustness.scores import read_reference

VALIDATION = "validation.csv"


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
    members = member_settings(run, settings)
    by_fold = split is not None and len(members) == 1  # members of an ensemble may differ in it
    table = run_table(settings, config.cases, bundle.config, split=by_fold)
    part = table.cases if split is None else require_split(table, split)
    if split == "test" and config.cases is None and len(members) > 1:
        check_untrained(run, part, members, bundle.config)
    cases, excluded = to_classes(part, bundle.config, table.path)
    validation = run / VALIDATION
    return EvaluationInputs(
        config=config,
        name=name,
        settings=settings,
        members=members,
        environment=read_record(run / "environment.json"),
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
    )


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
