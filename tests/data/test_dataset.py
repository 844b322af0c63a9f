from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agfnet.config import ModalityConfig
from agfnet.data import dataset as module
from agfnet.data.cache import ImageCache
from agfnet.data.cases import Case
from agfnet.data.dataset import CasesDataset, collate, loader
from agfnet.data.preprocess import load, normalise
from agfnet.errors import DataError, ImageError
from agfnet.types import Batch

MODALITIES = {
    "clinical": ModalityConfig(kind="photo", resize="crop"),
    "ultrasound": ModalityConfig(kind="ultrasound", resize="pad"),
}
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
WriteImage = Callable[..., Path]


@pytest.fixture
def cases(write_image: WriteImage) -> list[Case]:
    """Nine cases: the first lacks ultrasound, the second a photo, the third a label."""

    def files(number: int) -> dict[str, tuple[Path, ...]]:
        photo = [] if number == 1 else [write_image(f"c{number}.png", seed=number)]
        frames = [] if number == 0 else [f"u{number}_{k}.png" for k in range(1 + number % 4)]
        scans = [write_image(name, seed=90 + k) for k, name in enumerate(frames)]
        return {"clinical": tuple(photo), "ultrasound": tuple(scans)}

    return [
        Case(f"L{i}", f"L{i}", "" if i == 2 else "ab"[i % 2], files(i), {}, "", {}, i + 2)
        for i in range(9)
    ]


def make(cases: list[Case], **options: Any) -> CasesDataset:
    defaults = {"classes": ("a", "b"), "modalities": MODALITIES, "size": 10, "mean": MEAN}
    return CasesDataset(**{"cases": cases, "std": STD, "augment": False, **defaults, **options})


def batches(dataset: CasesDataset, *, epoch: int = 0, **options: Any) -> list[Batch]:
    settings = {"batch_size": 4, "shuffle": True, "workers": 0, "seed": 5, **options}
    loaded = loader(dataset, **settings)
    loaded.batch_sampler.sampler.set_epoch(epoch)
    return list(loaded)


def same(one: list[Batch], other: list[Batch]) -> bool:
    def flat(found: list[Batch]) -> list[Tensor]:
        return [t for b in found for t in (*b.images, b.present, b.labels, b.index)]

    pairs = zip(flat(one), flat(other), strict=True)
    return all(a.shape == b.shape and bool((a == b).all()) for a, b in pairs)


def test_a_sample(cases: list[Case]):
    dataset = make(cases)
    assert len(dataset) == 9
    sample = dataset[3]
    square = load(cases[3].images["ultrasound"][0], size=10, resize="pad")
    expected = normalise(square, mean=MEAN, std=STD)
    assert (sample.images[1].numpy() == expected).all()
    assert (sample.present, sample.label, sample.index) == ((True, True), 1, 3)


def test_missing_views_and_labels(cases: list[Case]):
    dataset = make(cases)
    assert dataset[0].present == (True, False)
    assert dataset[1].present == (False, True)
    assert dataset[1].images[0].shape == (3, 10, 10)
    assert not dataset[1].images[0].any()
    assert dataset[2].label == -1


def test_order_of_modalities_and_classes(cases: list[Case]):
    dataset = make(cases, classes=("b", "x", "a"), modalities=dict(reversed(MODALITIES.items())))
    assert dataset[0].present == (False, True)
    assert [dataset[i].label for i in (0, 1)] == [2, 0]


def test_one_modality_only(cases: list[Case]):
    dataset = make(cases, modalities={"ultrasound": MODALITIES["ultrasound"]})
    assert len(dataset[3].images) == 1


def test_wrong_cases(cases: list[Case]):
    with pytest.raises(DataError, match=r"case 'L1' \(row 3\): the label 'b' is not a class"):
        make(cases, classes=("a",))
    with pytest.raises(DataError, match="no cases"):
        make([])


def frames_drawn(dataset: CasesDataset, position: int, epochs: int = 30) -> set[bytes]:
    return {dataset[epoch, position].images[1].numpy().tobytes() for epoch in range(epochs)}


def test_training_draws_a_frame_per_epoch(cases: list[Case]):
    training = make(cases, training=True)
    assert len(frames_drawn(training, 3)) == 4
    assert len(frames_drawn(training, 4)) == 1
    assert len(frames_drawn(make(cases, training=False), 3)) == 1
    assert len(frames_drawn(make(cases, augment=True), 3)) == 30


def test_draws_depend_on_seed_epoch_case_and_modality(write_image: WriteImage):
    path = write_image("same.png")
    images = {"clinical": (path,), "ultrasound": (path,)}
    cases = [Case(f"L{i}", "P", "a", images, {}, "", {}, 2) for i in range(2)]
    photos = {name: ModalityConfig(kind="photo", resize="crop") for name in images}
    dataset = make(cases, augment=True, modalities=photos)
    other = make(cases, augment=True, modalities=photos, seed=1)
    found = [
        image.numpy().tobytes()
        for sample in (dataset[0, 0], dataset[0, 1], dataset[1, 0], other[0, 0])
        for image in sample.images
    ]
    assert len(set(found)) == 8
    assert dataset[0].images[0].numpy().tobytes() == found[0]
    dataset.set_epoch(1)
    assert dataset[0].images[0].numpy().tobytes() == found[4]


def test_collate(cases: list[Case]):
    dataset = make(cases)
    batch = collate([dataset[0], dataset[2]])
    assert [image.shape for image in batch.images] == [(2, 3, 10, 10)] * 2
    assert batch.images[0].dtype == torch.float32
    assert batch.present.tolist() == [[True, False], [True, True]]
    assert batch.present.dtype == torch.bool
    assert batch.labels.tolist() == [0, -1]
    assert batch.labels.dtype == batch.index.dtype == torch.int64
    assert batch.index.tolist() == [0, 2]


def test_batches_cover_the_cases(cases: list[Case]):
    found = batches(make(cases))
    assert [len(batch.labels) for batch in found] == [3, 3, 3]
    assert sorted(torch.cat([batch.index for batch in found]).tolist()) == list(range(9))


def test_workers_cache_and_resuming_change_nothing(cases: list[Case]):
    """Also across epochs of workers that live on: the epoch comes with the position."""
    expected = [batches(make(cases, augment=True), epoch=epoch) for epoch in range(3)]
    assert not same(expected[0], expected[1])
    live = loader(
        make(cases, augment=True, cache_mb=1), batch_size=4, shuffle=True, workers=2, seed=5
    )
    for epoch in (0, 2):
        live.batch_sampler.sampler.set_epoch(epoch)
        assert same(list(live), expected[epoch])


def test_loading_leaves_the_global_generator_alone(cases: list[Case]):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    batches(make(cases, augment=True))
    assert (torch.get_rng_state() == before).all()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_image_is_named_without_a_traceback(cases: list[Case], workers: int):
    bad = cases[3].images["clinical"][0]
    bad.write_bytes(b"no image")
    with pytest.raises(ImageError, match=rf"\A{bad}: is not an image[^\n]*\Z"):
        batches(make(cases), workers=workers)


# cache


def test_cached_images_are_not_read_again(cases: list[Case], monkeypatch: pytest.MonkeyPatch):
    read: list[Path] = []

    def counted(path: Path, **options: Any) -> np.ndarray:
        read.append(path)
        return load(path, **options)

    monkeypatch.setattr(module, "load", counted)
    dataset = make(cases, training=True, cache_mb=1)
    for epoch in range(40):
        for position in range(9):
            dataset[epoch, position]
    files = [path for case in cases for paths in case.images.values() for path in paths]
    assert sorted(read) == sorted(files)


def image(value: int) -> np.ndarray:
    return np.full((4, 4, 3), value, dtype=np.uint8)


def test_cache_keeps_what_fits():
    cache = ImageCache(images=5, shape=(4, 4, 3), most=3 * 49 + 48)
    for slot in range(5):
        assert cache.get(slot) is None
        cache.put(slot, image(slot))
    for slot in range(3):
        found = cache.get(slot)
        assert found is not None
        assert (found == slot).all()
    assert cache.get(3) is cache.get(4) is None


@pytest.mark.parametrize("images", [0, 5])
def test_an_empty_cache(images: int):
    cache = ImageCache(images=images, shape=(4, 4, 3), most=48)
    cache.put(0, image(1))
    assert cache.get(0) is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="shared by forked processes only")
def test_cache_is_shared_with_forked_processes():
    cache = ImageCache(images=2, shape=(4, 4, 3), most=10_000)
    child = os.fork()
    if child == 0:
        cache.put(1, image(7))
        os._exit(0)
    os.waitpid(child, 0)
    found = cache.get(1)
    assert found is not None
    assert (found == 7).all()


def test_a_pickled_cache_is_empty_and_keeps_nothing(cases: list[Case]):
    dataset = make(cases, cache_mb=1)
    first = dataset[3]
    again = pickle.loads(pickle.dumps(dataset))
    assert (again[3].images[0] == first.images[0]).all()
    assert again._cache.get(0) is None
