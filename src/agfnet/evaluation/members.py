"""Runs that a run folder consists of: its own, or those of the members of an ensemble."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agfnet.bundle import BundleConfig
from agfnet.config.renamed import update
from agfnet.config.training import TrainConfig
from agfnet.data.folds import read_split, split_as_trained
from agfnet.data.problems import Problems
from agfnet.data.spelling import label_key
from agfnet.data.streaming import check_label
from agfnet.data.table import Case, CasesTable, map_labels, read_cases
from agfnet.errors import DataError, RunError
from agfnet.files import read_record
from agfnet.inference.diagnosis import Diagnosis, collect_predictions
from agfnet.inference.predictions import Predictions
from agfnet.inference.predictor import Predictor

ENSEMBLE = "ensemble.json"
MEMBERS = "members"
"""Folder of a run with the run folders of the members that were trained with it."""
Settings = Mapping[str, Any]


def member_settings(folder: Path, settings: Settings) -> list[Settings]:
    """Return the settings of the members of an ensemble; of the run itself if it is none.

    Args:
        folder: of the run.
        settings: of the run.
    """
    path = folder / ENSEMBLE
    if not path.is_file():
        return [settings]
    entries = read_record(path)["members"]
    members = [update(entry["settings"], TrainConfig) for entry in entries]
    recorded = members[0]["data"]["cases"]
    for member in members:
        if member["data"]["cases"] == recorded:  # it may have moved with the ensemble
            member["data"]["cases"] = settings["data"]["cases"]
    return members


def run_table(
    settings: Settings,
    cases: str | None,
    config: BundleConfig,
    *,
    split: bool = False,
    check_files: bool = True,
) -> CasesTable:
    """Read a table by its path, or the table of a training, split as it was there.

    Args:
        settings: of the training run.
        cases: path of the table; None for that of the training.
        config: of the network.
        split: split a table with folds by the fold of the training, also one that is given by its
            path.
        check_files: also check that every image file exists.

    Raises:
        DataError: the table is not there, or has problems.
    """
    path, fold = (settings["data"].get(key) for key in ("cases", "fold"))
    modalities = tuple(config.modalities)
    if cases is not None:
        table = read_cases(cases, modalities=modalities, check_files=check_files)
        return split_as_trained(table, fold) if split else table
    if not Path(path).is_file():
        raise DataError(f"{path}: the table of this run is no longer there; name it with --cases")
    return read_split(path, modalities=modalities, fold=fold, check_files=check_files)


def member_tables(
    members: Sequence[Settings], config: BundleConfig, *, check_files: bool = True
) -> list[CasesTable]:
    """Read the tables of runs, each with the split of the run."""
    return [
        run_table(settings, None, config, check_files=check_files and number == 0)
        for number, settings in enumerate(members)
    ]


def cases_of(tables: Sequence[CasesTable], *splits: str) -> tuple[Case, ...]:
    """Return the cases that are in one of the splits in any of the tables, once each."""
    cases = {case.lesion_id: case for table in tables for case in table if case.split in splits}
    return tuple(cases.values())


def untrained_members(case: Case, trained: Sequence[frozenset[str]]) -> tuple[int, ...]:
    """Return the members that were not trained on a case's patient.

    Args:
        case: a case.
        trained: ids of the training patients of each member.
    """
    return tuple(i for i, patients in enumerate(trained) if case.patient_id not in patients)


def training_patients(tables: Sequence[CasesTable]) -> list[frozenset[str]]:
    """Return the ids of the training patients of each table."""
    return [frozenset(c.patient_id for c in table if c.split == "train") for table in tables]


def predict_untrained(
    predictor: Predictor,
    cases: Sequence[Case],
    trained: Sequence[frozenset[str]],
    progress: Callable[[int, int], None] | None = None,
) -> Predictions:
    """Predict every case with the members that were not trained on its patient.

    Args:
        predictor: of a network or an ensemble.
        cases: validation cases of any of its members.
        trained: ids of the training patients of each member.
        progress: called with the number of finished cases and the number of all.
    """
    groups: dict[tuple[int, ...], list[Case]] = {}
    for case in cases:
        groups.setdefault(untrained_members(case, trained), []).append(case)
    answers: dict[str, Diagnosis] = {}

    def keep(case: Case, diagnosis: Diagnosis) -> None:
        answers[case.lesion_id] = replace(diagnosis, frames=diagnosis.frames[:0], images=())
        if progress is not None:
            progress(len(answers), len(cases))

    for members, part in groups.items():
        if len(trained) > 1:
            predictor.backend.use_members(members)  # type: ignore[attr-defined]  # torch
        predictor.predict(part, each=keep)
    ordered = [answers[case.lesion_id] for case in cases]
    return collect_predictions(cases, ordered, predictor.bundle.config)


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


def known_labels(config: BundleConfig) -> tuple[str, ...]:
    """Return the labels that a network knows, as tables name them."""
    if isinstance(config.labels, Mapping):
        return tuple(label for labels in config.labels.values() for label in labels)
    return tuple(config.labels or config.classes)


def to_classes(
    cases: Sequence[Case], config: BundleConfig, path: Path
) -> tuple[tuple[Case, ...], int]:
    """Translate labels into the network's classes; unlabelled cases are kept.

    Returns:
        The cases, and the number of those excluded because the network does not know their label.

    Raises:
        DataError: labels that are no class, when the network was trained on all labels; or that are
            other spellings of labels that it knows.
    """
    problems = Problems(path)
    known = known_labels(config)
    by_key = {label_key(label): label for label in known}
    for case in cases:
        if config.labels is None:
            check_label(case, config.classes, problems)
        elif case.label not in ("", *known) and (label := by_key.get(label_key(case.label))):
            # left out as the label of another diagnosis, it would change what is measured
            problems.add(
                f"{case.label!r} is another spelling of {label!r}, which the network knows; write"
                " it that way",
                row=case.row,
                column="label",
            )
    problems.check()
    kept, _, excluded = map_labels(cases, config.labels or config.classes, missing_ok=True)
    if not kept:
        raise DataError(f"{path}: no case has one of the classes {', '.join(config.classes)}")
    return kept, excluded
