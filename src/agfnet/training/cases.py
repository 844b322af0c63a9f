"""The cases of a training: their classes, splits, and loaders."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from agfnet.config import DataConfig, TrainConfig
from agfnet.data.cache import ImageCache, cache_folder
from agfnet.data.dataset import CasesDataset
from agfnet.data.folds import read_split
from agfnet.data.loader import loader
from agfnet.data.paths import named_frame, split_box
from agfnet.data.same_files import first_of_same
from agfnet.data.splits import keep_fraction, require_split
from agfnet.data.table import Case, CasesTable, map_labels
from agfnet.errors import ConfigError, DataError
from agfnet.training.processes import ALONE, World


@dataclass(frozen=True)
class TrainingCases:
    """Labelled cases of the training and the validation split."""

    classes: tuple[str, ...]
    train: tuple[Case, ...]
    val: tuple[Case, ...]
    test: tuple[Case, ...] = ()
    """Cases of the test split; never trained on, but their feature maps are kept as well."""

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of cases per split and class."""
        splits = {"train": self.train, "val": self.val}
        return {name: dict(Counter(case.label for case in cases)) for name, cases in splits.items()}


def read_table(config: DataConfig) -> CasesTable:
    """Read the table of a training, with its split or the one of `config.fold`.

    Raises:
        DataError: the table has problems.
    """
    return read_split(config.cases, modalities=tuple(config.modalities), fold=config.fold)


def select_cases(table: CasesTable, config: TrainConfig) -> TrainingCases:
    """Select the labelled cases of the training and the validation split.

    Raises:
        DataError: a split or class has no case, a label of another split is not in train, or a
            modality has no image in train.
    """
    cases, classes, _ = map_labels(table, config.data.labels)
    if config.data.labels is None:
        check_unknown_labels(table, classes)
    train, val = (
        tuple(case for case in require_split(replace(table, cases=cases), split) if case.label)
        for split in ("train", "val")
    )
    if config.data.train_fraction is not None:
        train = keep_fraction(train, config.data.train_fraction, seed=config.seed)
    check_classes(train, val, classes, table.path)
    for name in table.modalities:
        if not any(case.images[name] for case in train):
            raise DataError(
                f"{table.path} column {name}: no training case has an image, so that nothing can be"
                " learned from it; fill in the column, or leave it out of data.modalities"
            )
    return TrainingCases(classes, train, val, tuple(c for c in cases if c.split == "test"))


def warn_of_missing_modalities(table: CasesTable, cases: TrainingCases) -> None:
    """Warn if only the training cases have images of a modality."""
    for split, part in (("validation", cases.val), ("test", cases.test)):
        for name in table.modalities:
            if part and not any(case.images[name] for case in part):
                logging.getLogger(__name__).warning(
                    "%s column %s: no %s case has an image, so that the results there say nothing"
                    " about lesions with one; fill in the column, or draw the split again",
                    *(table.path, name, split),
                )


def warn_of_shared_images(table: CasesTable, cases: TrainingCases) -> None:
    """Warn if the same image file, under whatever name, is in several splits."""
    uses = [
        (case, split, *named_frame(path), split_box(path)[1])
        for split, part in (("train", cases.train), ("val", cases.val), ("test", cases.test))
        for case in part
        for paths in case.images.values()
        for path in paths
    ]
    content = first_of_same(file for _, _, file, _, _ in uses)
    first: dict[object, tuple[Case, str, Path]] = {}
    shared = []
    for case, split, file, frame, box in uses:
        other = first.setdefault((content[file], frame, box), (case, split, file))
        if other[1] != split:
            shared.append((case, split, file, other))
    if shared:
        case, split, file, (other_case, other_split, other_file) = shared[0]
        logging.getLogger(__name__).warning(
            "%s: images of several splits are the same file, %d in all; the first is %s (row %d,"
            " %s), which is %s (row %d, %s). Results on them are too good: `agfnet check` lists"
            " them; keep each where it belongs, or give such lesions one patient_id and draw the"
            " split again",
            *(table.path, len(shared), file.name, case.row, split),
            *(other_file.name, other_case.row, other_split),
        )


def check_unknown_labels(table: CasesTable, classes: Sequence[str]) -> None:
    """Check that every label of the splits is one of the classes, the labels of train."""
    for split in ("val", "test"):
        labels = {case.label for case in table if case.split == split} - {"", *classes}
        if labels:
            raise DataError(
                f"{table.path} column label: {', '.join(sorted(labels))} in {split}, but in no"
                " training case; add cases to train, or name the classes with --data.labels to"
                " leave the others out"
            )


def check_classes(
    train: Sequence[Case], val: Sequence[Case], classes: Sequence[str], path: Path
) -> None:
    """Check that there are two classes or more, each with a training case."""
    if len(classes) < 2:
        raise DataError(f"{path} column label: {len(classes)} class; training needs two or more")
    missing = sorted(set(classes) - {case.label for case in train})
    if missing:
        raise DataError(
            f"{path} column split: no training case of {', '.join(missing)}; move some to train,"
            " or leave the class out with --data.labels"
        )
    if not val:
        raise DataError(f"{path} column split: no labelled validation case")


def build_datasets(
    cases: TrainingCases,
    config: TrainConfig,
    table: Path,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    originals: bool = False,
) -> list[CasesDataset]:
    """Build the datasets of training (augmented), validation and test (as they are).

    That of the test split is missing if the table has none.
    """
    data = config.data
    cache = image_cache(data, table)
    datasets = [
        CasesDataset(
            cases=split,
            classes=cases.classes,
            modalities=data.modalities,
            size=data.size,
            mean=mean,
            std=std,
            augment=training and data.augment,
            training=training,
            seed=config.seed,
            cache=cache,
            variants=data.feature_variants,
            originals=training and originals,
            rand_augment=(data.rand_augment, data.rand_augment_magnitude)
            if data.rand_augment
            else None,
        )
        for split, training in ((cases.train, True), (cases.val, False), (cases.test, False))
        if split
    ]
    if cache is not None:
        used = datasets if data.feature_variants else datasets[:2]
        cache.expect((image for dataset in used for image in dataset.images()), size=data.size)
    return datasets


def build_loaders(
    datasets: Sequence[CasesDataset], config: TrainConfig, world: World = ALONE
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Build the loaders of training (shuffled) and validation, of this process.

    Raises:
        ConfigError: the processes are too many for the batches or a split.
    """
    part = config.optim.batch_size // max(1, config.optim.accumulate)
    least = min(part, *(len(dataset) for dataset in datasets[:2]))
    if world.size > 1 and least < 2 * world.size:
        raise ConfigError(
            f"fit.devices, fit.nodes: {world.size} processes, but a batch or a split has {least}"
            " cases, fewer than two for each; train with fewer processes, or raise optim.batch_size"
        )
    train, val = (
        loader(
            dataset,
            batch_size=config.optim.batch_size,
            shuffle=training,
            workers=config.data.workers,
            seed=config.seed,
            balanced=training and config.optim.sampling == "balanced",
            parts=config.optim.accumulate if training else 1,
            max_unreadable=int(config.fit.max_unreadable * len(dataset)) if training else 0,
            rank=world.rank,
            processes=world.size,
        )
        for dataset, training in zip(datasets[:2], (True, False), strict=True)
    )
    return train, val


def image_cache(config: DataConfig, table: Path) -> ImageCache | None:
    """Return the cache of prepared images; None if it is disabled."""
    if not config.cache_mb:
        return None
    return ImageCache(folder=cache_folder(config.cache, table), max_bytes=config.cache_mb * 2**20)
