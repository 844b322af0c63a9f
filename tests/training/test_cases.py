"""The cases of a training: refusals before it starts, fractions, and what loaders vary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from agfnet.config import DataConfig, ModalityConfig, TrainConfig
from agfnet.data.table import Case, CasesTable, read_cases
from agfnet.errors import DataError
from agfnet.training.cases import (
    TrainingCases,
    build_datasets,
    build_loaders,
    select_cases,
    warn_of_missing_modalities,
    warn_of_shared_images,
)
from agfnet.types import Batch

MODALITIES = {"clinical": ModalityConfig(), "ultrasound": ModalityConfig("ultrasound")}
CONFIG = TrainConfig(data=DataConfig(cases="unused", modalities=MODALITIES, size=16, cache_mb=0))
ROWS = [
    {
        "lesion_id": f"L{n}",
        "label": "ab"[n % 2],
        "split": "train" if n < 8 else "val" if n < 12 else "test",
        "clinical": f"{n}.png",
        "ultrasound": f"u{n}.png",
    }
    for n in range(14)
]


def select(table: Path, **changes: Any) -> TrainingCases:
    cases = read_cases(table, modalities=tuple(MODALITIES))
    return select_cases(cases, replace(CONFIG, data=replace(CONFIG.data, **changes)))


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_label_that_is_never_trained_is_refused(
    write_table: Callable[..., Path], split: str
) -> None:
    rows = [dict(row) for row in ROWS]
    next(row for row in rows if row["split"] == split)["label"] = "rare"
    table = write_table(rows, images=True)
    with pytest.raises(
        DataError, match=rf"column label: rare in {split}, but in no .*--data.labels"
    ):
        select(table)
    cases = select(table, labels=["a", "b"])
    assert cases.classes == ("a", "b")
    assert cases.counts() == {"train": {"a": 4, "b": 4}, "val": {"a": 2 - (split == "val"), "b": 2}}


@pytest.mark.parametrize("splits", [{"train"}, {"train", "val", "test"}])
def test_a_modality_without_training_images_is_refused(
    write_table: Callable[..., Path], splits: set[str]
) -> None:
    rows = [row | ({"ultrasound": ""} if row["split"] in splits else {}) for row in ROWS]
    with pytest.raises(DataError, match=r"column ultrasound: no training case has an image"):
        select(write_table(rows))


@pytest.mark.parametrize(("split", "name"), [("val", "validation"), ("test", "test")])
def test_a_modality_that_only_training_has_is_said(
    write_table: Callable[..., Path], split: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [row | ({"ultrasound": ""} if row["split"] == split else {}) for row in ROWS]
    path = write_table(rows)
    cases = select(path)
    assert not caplog.records  # a training selects its cases several times, and says it once
    warn_of_missing_modalities(read_cases(path, modalities=tuple(MODALITIES)), cases)
    (record,) = caplog.records
    assert f"column ultrasound: no {name} case has an image" in record.getMessage()


@pytest.mark.parametrize("shared", ["copy", "path", "frame", "nothing"])
def test_an_image_of_two_splits_is_said(
    write_table: Callable[..., Path], shared: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [dict(row) for row in ROWS]
    path = write_table(rows, images=True)
    for row in rows:
        (path.parent / row["clinical"]).write_bytes(f"{row['lesion_id']:>9000}".encode())
    if shared == "copy":
        (path.parent / "13.png").write_bytes((path.parent / "2.png").read_bytes())
    else:
        rows[13]["clinical"] = {"path": "2.png", "frame": "2.png#1"}.get(shared, "13.png")
        path = write_table(rows, images=False)
    table = read_cases(path, modalities=tuple(MODALITIES), check_files=False)
    warn_of_shared_images(table, select_cases(table, CONFIG))
    messages = [record.getMessage() for record in caplog.records]
    if shared in ("nothing", "frame"):
        assert not messages
    else:
        (message,) = messages
        name = "13.png" if shared == "copy" else "2.png"
        assert (
            f"1 in all; the first is {name} (row 15, test), which is 2.png (row 4, train)"
            in message
        )


def patients(count: int) -> CasesTable:
    """Training patients of one label, with one lesion or with five in turns, and a few others."""

    def case(patient: int, lesion: int, label: str, split: str) -> Case:
        name = f"{split}-{label}{patient}-{lesion}"
        images = {"clinical": (Path(f"{name}.png"),)}
        return Case(name, f"{split}{label}{patient}", label, images, {}, split, {}, 1)

    cases = [
        case(patient, lesion, "a", "train")
        for patient in range(count)
        for lesion in range(1 if patient % 2 else 5)
    ]
    others = [case(n, 0, "b", "train") for n in range(2)] + [case(0, 0, "a", "val")]
    return CasesTable(path=Path("cases.csv"), modalities=("clinical",), cases=(*cases, *others))


def kept(table: CasesTable, seed: int, fraction: float = 0.5) -> set[str]:
    data = replace(CONFIG.data, modalities={"clinical": ModalityConfig()}, train_fraction=fraction)
    cases = select_cases(table, replace(CONFIG, data=data, seed=seed))
    return {case.patient_id for case in cases.train if case.label == "a"}


def test_a_fraction_of_the_training_cases_depends_on_the_seed() -> None:
    table = patients(12)
    draws = [kept(table, seed) for seed in range(10)]
    assert all(len(draw) == 6 for draw in draws)
    assert draws[0] == kept(table, 0)
    assert len({frozenset(draw) for draw in draws}) > 5
    assert kept(table, 3, 0.25) < kept(table, 3, 0.5)


def test_a_fraction_keeps_large_and_small_patients_alike() -> None:
    table, seeds = patients(12), range(200)
    large = {f"traina{n}" for n in range(0, 12, 2)}
    rate = sum(len(kept(table, seed) & large) for seed in seeds) / (6 * len(seeds))
    assert rate == pytest.approx(0.5, abs=0.05)  # four standard errors are 0.03


def batches(loader: Any, epoch: int) -> list[Batch]:
    loader.batch_sampler.sampler.set_epoch(epoch)
    return list(loader)


def test_only_training_is_shuffled_and_varied(write_table: Callable[..., Path]) -> None:
    table = write_table(ROWS)
    cases = select(table)
    optim = replace(CONFIG.optim, batch_size=8)

    def loaders_of(data: DataConfig) -> tuple[Any, Any]:
        config = replace(CONFIG, optim=optim, data=data)
        return build_loaders(build_datasets(cases, config, table, (0.5,) * 3, (0.5,) * 3), config)

    loaders = loaders_of(CONFIG.data)
    (train, again), (val, val_again) = (
        [batches(loader, epoch)[0] for epoch in (0, 1)] for loader in loaders
    )
    assert val.index.tolist() == val_again.index.tolist() == [0, 1, 2, 3]
    for first, second in zip(val.images, val_again.images, strict=True):
        assert torch.equal(first, second)
    plain = loaders_of(replace(CONFIG.data, augment=False))
    for first, second in zip(val.images, batches(plain[1], 0)[0].images, strict=True):
        assert torch.equal(first, second)
    assert train.index.tolist() != again.index.tolist()
    order, other = train.index.argsort(), again.index.argsort()
    for first, second in zip(train.images, again.images, strict=True):
        assert not torch.equal(first[order], second[other])
    unvaried = batches(plain[0], 0)[0]
    assert unvaried.index.tolist() == train.index.tolist()
    assert not torch.equal(unvaried.images[0], train.images[0])
