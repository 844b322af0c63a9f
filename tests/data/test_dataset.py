from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from torch import Tensor

from agfnet.config import Frames, ModalityConfig
from agfnet.data import dataset as dataset_module
from agfnet.data import loader as module
from agfnet.data.cache import ImageCache
from agfnet.data.dataset import CasesDataset
from agfnet.data.loader import collate, loader
from agfnet.data.preprocess import load, normalise
from agfnet.data.table import Case
from agfnet.errors import DataError, ImageError
from agfnet.types import Batch

MODALITIES = {
    "clinical": ModalityConfig(modality_type="photo", resize="crop"),
    "ultrasound": ModalityConfig(modality_type="ultrasound", resize="pad"),
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


@pytest.fixture
def cache(tmp_path: Path) -> ImageCache:
    return ImageCache(folder=tmp_path / "cache", max_bytes=2**24)


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
    square = load(cases[3].images["ultrasound"][0], size=10, modality=MODALITIES["ultrasound"])
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


@pytest.fixture
def sweep(tmp_path: Path) -> list[Case]:
    """One case with a file of four frames and one of one frame, all different."""
    pages = [Pillow.fromarray(np.full((9, 9), 40 * number, np.uint8)) for number in range(1, 5)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    Pillow.new("L", (9, 9), 240).save(tmp_path / "b.png")
    files = (tmp_path / "a.tif", tmp_path / "b.png")
    return [Case("L", "P", "a", {"clinical": (), "ultrasound": files}, {}, "", {}, 2)]


def with_frames(policy: Frames) -> dict[str, ModalityConfig]:
    scan = ModalityConfig(modality_type="ultrasound", resize="pad", frames=policy)
    return MODALITIES | {"ultrasound": scan}


def brightness(dataset: CasesDataset, epoch: int = 0) -> int:
    return round(255 * float(dataset[epoch, 0].images[1].mean()))


def test_frames_of_a_file_are_drawn_like_files(sweep: list[Case]):
    plain = {"mean": (0, 0, 0), "std": (1, 1, 1), "size": 9}
    drawn = make(sweep, training=True, **plain)
    assert {brightness(drawn, epoch) for epoch in range(60)} == {40, 80, 120, 160, 240}
    for policy, training, expected in [
        ("first", True, 40),
        ("middle", True, 120),
        ("middle", False, 120),
        ("random", False, 40),
    ]:
        dataset = make(sweep, training=training, modalities=with_frames(policy), **plain)
        assert {brightness(dataset, epoch) for epoch in range(9)} == {expected}


def test_making_a_dataset_opens_no_file(tmp_path: Path):
    absent = {"clinical": (tmp_path / "no.png",), "ultrasound": (tmp_path / "no.dcm",)}
    cases = [Case(f"L{i}", "P", "a", absent, {}, "", {}, 2) for i in range(9)]
    dataset = make(cases, training=True)
    assert len(list(dataset.images())) == 18
    with pytest.raises(ImageError, match=r"no\.png: no such file"):
        dataset[0]


def test_frames_are_kept_apart_in_the_cache(sweep: list[Case], tmp_path: Path):
    plain = {"mean": (0, 0, 0), "std": (1, 1, 1), "size": 9, "training": True}
    cache = ImageCache(folder=tmp_path / "cache", max_bytes=10**7)
    without = make(sweep, **plain)
    expected = [brightness(without, epoch) for epoch in range(20)]
    for _ in range(2):
        dataset = make(sweep, cache=cache, **plain)
        assert [brightness(dataset, epoch) for epoch in range(20)] == expected
    file = sweep[0].images["ultrasound"][0]
    pages = [Pillow.new("L", (9, 9), 200) for _ in range(4)]
    pages[0].save(file, save_all=True, append_images=pages[1:])
    assert brightness(make(sweep, cache=cache, **plain)) in (200, 240)


def test_draws_depend_on_seed_epoch_case_and_modality(write_image: WriteImage):
    path = write_image("same.png")
    images = {"clinical": (path,), "ultrasound": (path,)}
    cases = [Case(f"L{i}", "P", "a", images, {}, "", {}, 2) for i in range(2)]
    photos = {name: ModalityConfig(modality_type="photo", resize="crop") for name in images}
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


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a single core
def test_workers_cache_and_resuming_change_nothing(cases: list[Case], cache: ImageCache):
    """Also across epochs of workers that live on: the epoch comes with the position."""
    expected = [batches(make(cases, augment=True), epoch=epoch) for epoch in range(3)]
    assert not same(expected[0], expected[1])
    live = loader(
        make(cases, augment=True, cache=cache), batch_size=4, shuffle=True, workers=2, seed=5
    )
    for epoch in (0, 2):
        live.batch_sampler.sampler.set_epoch(epoch)
        assert same(list(live), expected[epoch])


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a single core
def test_workers_need_no_shared_memory(cases: list[Case], monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers have 64 MB of it, and a worker that finds it full would wait forever."""
    expected = batches(make(cases), workers=1)
    usage = type("Usage", (), {"free": 100_000})()
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage)
    # 4 cases of 2 images of 10 x 10 x 3 float32, four times three batches
    assert module.shared_memory_suffices(8_000, 1)
    assert not module.shared_memory_suffices(9_600, 1)
    usage.free = 1000
    piped = loader(make(cases), batch_size=4, shuffle=True, workers=1, seed=5)
    assert piped.collate_fn is module._collate_without_shared_memory
    assert same(list(piped), expected)
    assert loader(make(cases), batch_size=4, shuffle=True, workers=0, seed=5).collate_fn is (
        module._collate_readable
    )


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


@pytest.mark.parametrize("workers", [0, 1])
def test_cases_with_unreadable_images_are_left_out_up_to_a_limit(
    cases: list[Case], workers: int, caplog: pytest.LogCaptureFixture
):
    bad = [cases[i].images["clinical"][0] for i in (3, 5)]
    bad[0].write_bytes(b"no image")
    reading = loader(
        make(cases), batch_size=4, shuffle=False, workers=workers, seed=5, max_unreadable=1
    )
    assert sorted(torch.cat([b.index for b in reading]).tolist()) == [0, 1, 2, 4, 5, 6, 7, 8]
    assert f"{bad[0]}: is not an image" in caplog.text
    assert len(caplog.records) == 1
    saved = reading.state_dict()
    bad[1].write_bytes(b"no image")
    again = loader(
        make(cases), batch_size=4, shuffle=False, workers=workers, seed=5, max_unreadable=1
    )
    again.load_state_dict(saved | {"epoch": 1})
    with pytest.raises(ImageError) as caught:
        list(again)
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[0] for line in lines[:2]] == [str(path) for path in bad]
    assert "more than 1 unreadable images (fit.max_unreadable)" in lines[2]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_an_epoch_begins_after_any_batch(cases: list[Case], workers: int):
    """Whatever the number of workers was before and is now."""
    expected = batches(make(cases, augment=True))
    for position in range(len(expected) + 1):
        reading = loader(
            make(cases, augment=True), batch_size=4, shuffle=True, workers=workers, seed=5
        )
        reading.load_state_dict({"epoch": 0, "batches": position, "unreadable": []})
        assert same(list(reading), expected[position:])
        reading.batch_sampler.sampler.set_epoch(1)
        assert len(list(reading)) == len(expected)


# cache


def test_cached_images_are_not_read_again(
    cases: list[Case], cache: ImageCache, monkeypatch: pytest.MonkeyPatch
):
    read: list[Path] = []

    def counted(path: Path, **options: Any) -> np.ndarray:
        read.append(path)
        return load(path, **options)

    monkeypatch.setattr(dataset_module, "load", counted)
    for _ in range(2):
        dataset = make(cases, training=True, cache=cache)
        for epoch in range(40):
            for position in range(9):
                dataset[epoch, position]
    files = [path for case in cases for paths in case.images.values() for path in paths]
    assert sorted(read) == sorted(files)
    assert sorted(path for path, _ in dataset.images()) == sorted(files)
    firsts = [paths[0] for case in cases for paths in case.images.values() if paths]
    assert [path for path, _ in make(cases, training=False).images()] == firsts


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a single core
def test_what_workers_keep_all_processes_find(
    cases: list[Case], cache: ImageCache, monkeypatch: pytest.MonkeyPatch
):
    expected = batches(make(cases, cache=cache), workers=2)

    def never(*_: Any, **__: Any) -> np.ndarray:
        raise AssertionError("read again")

    monkeypatch.setattr(dataset_module, "load", never)
    dataset = make(cases, cache=cache)
    for found in (dataset, pickle.loads(pickle.dumps(dataset))):  # pickled: a spawned worker
        assert same(batches(found), expected)
