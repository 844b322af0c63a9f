"""One training run: cases in, run folder with checkpoints, history and bundle out."""

from __future__ import annotations

import json
import platform
import subprocess
from collections import Counter
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from lightning.pytorch import seed_everything
from torch.utils.data import DataLoader

from agfnet import __version__
from agfnet.bundle import Bundle, BundleConfig, write_bundle
from agfnet.card import card
from agfnet.config import DataConfig, TrainConfig
from agfnet.config.renamed import update
from agfnet.data.cache import FOLDER, ImageCache
from agfnet.data.dataset import CasesDataset, loader
from agfnet.data.folds import read_split
from agfnet.data.splits import keep_fraction, require_split
from agfnet.data.table import Case, cases_hash, map_labels
from agfnet.errors import DataError, RunError
from agfnet.files import write_json, write_text
from agfnet.models.agfnet import AGFNet
from agfnet.models.baselines.amfam import AMFAM
from agfnet.models.build import build, build_decoder, image_statistics, without_weights
from agfnet.training.adversarial import AdversarialTask
from agfnet.training.reconstruction import ReconstructionTask
from agfnet.training.supervised import SupervisedTask, balanced_weights
from agfnet.training.trainer import Task, run_trainer
from agfnet.training.tuning import tune


def fit(config: TrainConfig, *, progress: bool = True) -> Path:
    """Train a network; the run folder that it returns holds the bundle of the best epoch.

    With `config.resume`, goes on after the last finished epoch, to the same result as a run that
    was never stopped; a finished run is returned as it is.

    Raises:
        ConfigError: settings that do not fit together.
        DataError: problems in the table or its images.
        RunError: the run folder is taken, was made with other settings, or training was stopped.
    """
    folder = Path(config.runs) / config.name
    check_run(folder, config)
    if (folder / "bundle" / "config.json").is_file():
        return folder
    table = read_split(
        config.data.cases, modalities=tuple(config.data.modalities), fold=config.data.fold
    )
    cases, classes, _ = map_labels(table, config.data.labels)
    train, val = (
        tuple(case for case in require_split(replace(table, cases=cases), split) if case.label)
        for split in ("train", "val")
    )
    if config.data.train_fraction is not None:
        train = keep_fraction(train, config.data.train_fraction, seed=config.seed)
    check_classes(train, val, classes, table.path)
    data_hash = cases_hash(table)
    seed_everything(config.seed, verbose=False)
    task = build_task(config, [classes.index(case.label) for case in train], len(classes))
    mean, std = image_statistics(config.model)
    cache = image_cache(config.data, table.path)
    datasets = [
        CasesDataset(
            cases=split,
            classes=classes,
            modalities=config.data.modalities,
            size=config.data.size,
            mean=mean,
            std=std,
            augment=training and config.data.augment,
            training=training,
            seed=config.seed,
            cache=cache,
        )
        for split, training in ((train, True), (val, False))
    ]
    if cache is not None:
        images = (image for dataset in datasets for image in dataset.images())
        cache.expect(images, size=config.data.size)
    loaders = [
        loader(
            dataset,
            batch_size=config.optim.batch_size,
            shuffle=training,
            workers=config.data.workers,
            seed=config.seed,
        )
        for dataset, training in zip(datasets, (True, False), strict=True)
    ]
    write_text(folder / "config.yaml", yaml.safe_dump(record(config), sort_keys=False))
    write_json(folder / "environment.json", environment(config.seed, data_hash))
    run_trainer(
        folder=folder,
        task=task,
        train=loaders[0],
        val=loaders[1],
        config=config.optim,
        seed=config.seed,
        progress=progress,
    )
    write_best(
        folder,
        task,
        loaders[1],
        BundleConfig(
            classes=classes,
            labels=config.data.labels,
            modalities=dict(config.data.modalities),
            size=config.data.size,
            mean=mean,
            std=std,
            model=without_weights(config.model),
            data_hash=data_hash,
            cases={
                split: dict(Counter(case.label for case in part))
                for split, part in (("train", train), ("val", val))
            },
        ),
    )
    return folder


def image_cache(config: DataConfig, table: Path) -> ImageCache | None:
    """Where prepared images are kept; None if nothing is to be kept."""
    if not config.cache_mb:
        return None
    folder = Path(config.cache) if config.cache else table.parent / FOLDER
    return ImageCache(folder=folder, most=config.cache_mb * 2**20)


def check_run(folder: Path, config: TrainConfig) -> None:
    """Refuse a folder that is taken, or a resume with other settings."""
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not config.resume:
        raise RunError(
            f"{folder}: a run of this name exists; give another --name, go on with --resume,"
            " or delete the folder"
        )
    file = folder / "config.yaml"
    before = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None
    before = update(before, TrainConfig)
    if before is not None and (changed := differences(before, record(config))):
        raise RunError(
            f"{folder}: was started with other settings ({', '.join(changed)});"
            " resume with the same ones, or give another --name"
        )


def record(config: TrainConfig) -> dict[str, object]:
    """The settings as `config.yaml` holds them."""
    plain: dict[str, object] = json.loads(json.dumps(asdict(replace(config, resume=False))))
    return plain


def differences(before: object, after: object, name: str = "") -> list[str]:
    """Dotted names of the settings that differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            found
            for key in sorted({*before, *after}, key=str)
            for found in differences(
                before.get(key), after.get(key), f"{name}.{key}" if name else str(key)
            )
        ]
    return [] if before == after else [name]


def check_classes(
    train: tuple[Case, ...], val: tuple[Case, ...], classes: tuple[str, ...], path: Path
) -> None:
    """Every class needs a training case, and there must be at least two classes."""
    if len(classes) < 2:
        raise DataError(f"{path} column label: {len(classes)} class; training needs two or more")
    unlearnable = sorted(set(classes) - {case.label for case in train})
    if unlearnable:
        raise DataError(
            f"{path} column split: no training case of {', '.join(unlearnable)}; move some to"
            " train, or leave the class out with --data.labels"
        )
    if not val:
        raise DataError(f"{path} column split: no labelled validation case")


def environment(seed: int, data_hash: str) -> dict[str, object]:
    """What a reader needs to repeat the run."""
    packages = ("torch", "torchvision", "timm", "lightning", "numpy", "pillow", "scikit-learn")
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "agfnet": __version__,
        "git": git.stdout.strip() or None,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        "packages": {name: version(name) for name in packages},
        "seed": seed,
        "data_sha256": data_hash,
    }


def build_task(config: TrainConfig, labels: list[int], classes: int) -> Task:
    """The network with what its training needs."""
    model = build(config.model, modalities=len(config.data.modalities), classes=classes)
    balanced = config.loss.class_weights == "balanced"
    supervised = SupervisedTask(
        model=model,
        config=config.loss,
        class_weights=balanced_weights(torch.tensor(labels), classes) if balanced else None,
        modality_dropout=config.optim.modality_dropout,
    )
    if isinstance(model, AMFAM):
        return AdversarialTask(supervised=supervised)
    if not (config.reconstruction.enabled and isinstance(model, AGFNet)):
        return supervised
    decoder = model.decoder or build_decoder(
        config.model.fusion,
        len(config.data.modalities),
        cross_modality=config.reconstruction.cross_modality,
    )
    return ReconstructionTask(supervised=supervised, config=config.reconstruction, decoder=decoder)


def write_best(folder: Path, task: Task, val: DataLoader[Any], config: BundleConfig) -> Bundle:
    """Turn the best checkpoint into a bundle."""
    path = folder / "checkpoints" / "best.ckpt"
    state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    task.load_state_dict({name.removeprefix("task."): value for name, value in state.items()})
    tune(task.model, val)
    weights: dict[str, np.ndarray[Any, Any]] = {
        name: value.detach().cpu().contiguous().numpy()
        for name, value in task.model.state_dict().items()
    }
    return write_bundle(folder / "bundle", weights, config, card(config))
