"""One training run: cases in, run folder with checkpoints, history and bundle out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import seed_everything
from torch.utils.data import DataLoader

from agfnet.bundle import Bundle, BundleConfig, write_bundle
from agfnet.card import card
from agfnet.config import TrainConfig
from agfnet.data.table import Case, cases_hash
from agfnet.diagnoses import describe_classes
from agfnet.files import SUMS, finish_change
from agfnet.models.build import image_statistics, without_weights
from agfnet.training.adversarial import AdversarialTask
from agfnet.training.cases import build_datasets, build_loaders, read_table, select_cases
from agfnet.training.checkpoints import load_best
from agfnet.training.features import prepare_features
from agfnet.training.run_folder import check_run, write_run
from agfnet.training.tasks import Task, build_task
from agfnet.training.trainer import run_trainer
from agfnet.training.tuning import tune

MIN_MISSING = 0.02
"""Fraction of training cases without a modality from which on a network learns to do without it."""


def fit(
    config: TrainConfig, *, plan: Sequence[Mapping[str, Any]] = (), progress: bool = True
) -> Path:
    """Train a network; the returned run folder holds the bundle of the best epoch.

    With `config.resume`, training continues after the last finished epoch, with the same result as
    without the interruption; a finished run is returned unchanged.

    Args:
        config: the settings.
        plan: those among them that were chosen, and why; written to plan.json.
        progress: show a progress bar.

    Raises:
        ConfigError: settings that do not fit together.
        DataError: the table or its images have problems.
        RunError: the folder holds a run already, or one with other settings or another table, or
            training was stopped.
    """
    folder = Path(config.runs) / config.name
    table = read_table(config.data)
    check_run(folder, config, table)
    finish_change(folder / "bundle")
    if (folder / "bundle" / SUMS).is_file():
        return folder
    cases = select_cases(table, config)
    diagnoses = describe_classes(cases.classes, config.data.diagnoses, config.data.labels)
    seed_everything(config.seed, verbose=False)
    labels = [cases.classes.index(case.label) for case in cases.train]
    task = build_task(config, labels, len(cases.classes), cases.train)
    mean, std = image_statistics(config.model)
    originals = isinstance(task, AdversarialTask)
    datasets = build_datasets(cases, config, table.path, mean, std, originals=originals)
    write_run(folder, config, table, plan)
    if config.data.feature_variants:
        prepare_features(config, datasets, task.model.backbones, table.path)
    train, val = build_loaders(datasets, config)
    run_trainer(
        folder=folder,
        task=task,
        train=train,
        val=val,
        config=config.optim,
        seed=config.seed,
        progress=progress,
    )
    bundle = BundleConfig(
        classes=cases.classes,
        labels=config.data.labels,
        modalities=dict(config.data.modalities),
        size=config.data.size,
        mean=mean,
        std=std,
        model=without_weights(config.model),
        data_hash=cases_hash(table),
        cases=cases.counts(),
        diagnoses=diagnoses,
        simulated=(table.path.parent / "truth.json").is_file(),
        optional=optional_modalities(cases.train, config),
    )
    write_best(folder, task, val, bundle)
    return folder


def optional_modalities(train: Sequence[Case], config: TrainConfig) -> tuple[str, ...]:
    """Return the modalities that a network learns to do without.

    These are all of them with modality dropout, and otherwise those that a part of the training
    cases lacks.
    """
    names = list(config.data.modalities)
    if config.optim.modality_dropout:
        return tuple(names)
    missing = {name: sum(not case.images.get(name) for case in train) for name in names}
    return tuple(name for name in names if missing[name] >= MIN_MISSING * len(train))


def write_best(folder: Path, task: Task, val: DataLoader[Any], config: BundleConfig) -> Bundle:
    """Write the weights of the best checkpoint as a bundle."""
    load_best(folder, task)
    tune(task.model, val)
    weights: dict[str, np.ndarray[Any, Any]] = {
        name: value.detach().cpu().contiguous().numpy()
        for name, value in task.model.state_dict().items()
    }
    return write_bundle(folder / "bundle", weights, config, card(config))
