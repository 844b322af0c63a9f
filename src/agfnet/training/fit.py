"""One training run: cases in, run folder with checkpoints, history and bundle out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import seed_everything
from torch.utils.data import DataLoader

from agfnet.allocation import keep_freed_memory
from agfnet.bundle import BundleConfig, write_bundle
from agfnet.card import card
from agfnet.config import TrainConfig
from agfnet.config.renamed import run_settings
from agfnet.data.dataset import CasesDataset
from agfnet.data.table import Case, CasesTable, cases_hash
from agfnet.diagnoses import describe_classes
from agfnet.errors import ConfigError, RunError
from agfnet.files import CHANGE, SUMS, finish_change
from agfnet.models.build import image_statistics, without_weights
from agfnet.training.adversarial import AdversarialTask
from agfnet.training.cases import (
    TrainingCases,
    build_datasets,
    build_loaders,
    read_table,
    select_cases,
    warn_of_missing_modalities,
    warn_of_shared_images,
)
from agfnet.training.checkpoints import load_best
from agfnet.training.features import prepare_features
from agfnet.training.loggers import check_loggers
from agfnet.training.memory import accumulation, advice, is_out_of_memory
from agfnet.training.processes import World, join, started_together
from agfnet.training.run_folder import LOCK, SETTINGS, check_run, locked_run, write_run
from agfnet.training.stopping import StopRequest, stopping_on_signals
from agfnet.training.tasks import Task, build_task
from agfnet.training.trainer import run_trainer
from agfnet.training.tuning import tune

MIN_MISSING = 0.02
"""Fraction of training cases without a modality from which on a network learns to do without it."""


@keep_freed_memory()
def fit(
    config: TrainConfig, *, plan: Sequence[Mapping[str, Any]] = (), progress: bool = True
) -> Path:
    """Train a network; the returned run folder holds the bundle.

    With `config.resume`, training continues after the last checkpoint, with the same result as
    without the interruption; a finished run is returned unchanged.

    Args:
        config: the settings.
        plan: those among them that were chosen, and why; written to plan.json.
        progress: show a progress bar.

    Raises:
        ConfigError: settings that do not fit together.
        DataError: the table or its images have problems.
        RunError: the folder holds a run already, or one with other settings or another table, or
            training was stopped, or a loss was not finite.
        StoppedError: a signal of a scheduler has stopped it.
    """
    if config.members > 1:
        raise ConfigError("members: fit trains one network; agfnet.train trains an ensemble")
    folder = Path(config.runs) / config.name
    check_loggers(config.fit)
    if config.fit.processes > 1 and not started_together():
        from agfnet.training.launch import launch  # which some builds of torch do not have

        launch(config, plan, progress=progress)
        return folder
    world = join()
    with stopping_on_signals() as request, ExitStack() as held:
        table = read_table(config.data)
        if world.on_first(lambda: begin_run(folder, config, table, held)):
            train_run(folder, config, table, plan, progress=progress, request=request, world=world)
    return folder


def begin_run(folder: Path, config: TrainConfig, table: CasesTable, held: ExitStack) -> bool:
    """Check and lock a run folder; return False if the run is finished."""
    check_run(folder, config, table)
    interrupted = any(
        (folder / name).exists() for name in (LOCK, f"bundle/{CHANGE}")
    )  # by a killed one
    if not interrupted and (folder / "bundle" / SUMS).is_file():
        return False
    held.enter_context(locked_run(folder, force=config.break_lock))
    finish_change(folder / "bundle")
    return not (folder / "bundle" / SUMS).is_file()


def train_run(
    folder: Path,
    config: TrainConfig,
    table: CasesTable,
    plan: Sequence[Mapping[str, Any]],
    *,
    progress: bool,
    request: StopRequest,
    world: World,
) -> None:
    """Train in a locked run folder, and write the bundle; files come from the first process."""
    cases = select_cases(table, config)
    if world.first:
        warn_of_missing_modalities(table, cases)
        warn_of_shared_images(table, cases)
    bundle = bundle_config(config, table, cases)
    seed_everything(config.seed, verbose=False)
    labels = [cases.classes.index(case.label) for case in cases.train]
    new_task = partial(build_task, config, labels, len(cases.classes), cases.train)
    task = new_task()
    originals = isinstance(task, AdversarialTask)
    datasets = build_datasets(
        cases, config, table.path, bundle.mean, bundle.std, originals=originals
    )
    if config.data.feature_variants:
        prepare = partial(prepare_features, config, datasets, task.model.backbones, table.path)
        world.on_first(prepare)
        if not world.first:  # the maps are kept by now
            prepare()
    unset = config
    config = world.on_first(lambda: choose_accumulation(folder, unset, task, datasets[0]))
    train, val = build_loaders(datasets, config, world)
    world.on_first(lambda: write_run(folder, config, table, plan))
    out_of_memory, sharded = False, config.fit.shard_backbones and world.size > 1
    try:
        run_trainer(
            folder=folder,
            task=task,
            train=train,
            val=val,
            config=config.optim,
            fit=config.fit,
            seed=config.seed,
            progress=progress,
            request=request,
            lesion_ids=[case.lesion_id for case in cases.train],
            world=world,
        )
    except (RuntimeError, MemoryError) as error:
        out_of_memory = is_out_of_memory(error)
        if not out_of_memory:
            raise
    if out_of_memory:  # outside of the block, in which the error would hold the memory
        if sharded:  # the other processes do not take part in a trial
            raise RunError(f"{folder}: out of memory; set a larger --optim.accumulate")
        size = math.ceil(config.optim.batch_size / config.optim.accumulate)
        raise RunError(f"{folder}: {advice(task, datasets[0], size)}")
    if sharded:  # what follows needs a whole network, in the first process only
        del task
        task = new_task()
    _, every_val = build_loaders(datasets, config)
    world.on_first(lambda: write_best(folder, task, every_val, bundle))


def bundle_config(config: TrainConfig, table: CasesTable, cases: TrainingCases) -> BundleConfig:
    """Return the settings of the bundle that a run writes."""
    mean, std = image_statistics(config.model)
    return BundleConfig(
        classes=cases.classes,
        labels=config.data.labels,
        modalities=dict(config.data.modalities),
        size=config.data.size,
        mean=mean,
        std=std,
        model=without_weights(config.model),
        data_hash=cases_hash(table),
        cases=cases.counts(),
        diagnoses=describe_classes(cases.classes, config.data.diagnoses, config.data.labels),
        simulated=(table.path.parent / "truth.json").is_file(),
        optional=optional_modalities(cases.train, config),
    )


def choose_accumulation(
    folder: Path, config: TrainConfig, task: Task, dataset: CasesDataset
) -> TrainConfig:
    """Return settings with the number of parts of a batch, if it is to be chosen.

    A run that is continued keeps the number with which it was started.
    """
    if config.optim.accumulate:
        return config
    if (folder / SETTINGS).is_file():
        parts = run_settings(folder)["optim"].get("accumulate", 1)
    else:
        parts = accumulation(task, dataset, config.optim.batch_size)
    return replace(config, optim=replace(config.optim, accumulate=parts))


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


def write_best(folder: Path, task: Task, val: DataLoader[Any], config: BundleConfig) -> None:
    """Write the weights of the checkpoint that is kept as a bundle."""
    load_best(folder, task)
    tune(task.model, val)
    weights: dict[str, np.ndarray[Any, Any]] = {
        name: value.detach().cpu().contiguous().numpy()
        for name, value in task.model.state_dict().items()
    }
    write_bundle(folder / "bundle", weights, config, card(config))
