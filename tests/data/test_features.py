from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agfnet.config import ModalityConfig
from agfnet.data import features as module
from agfnet.data.features import (
    FeatureCache,
    digest_pixels,
    identities,
    stack_maps,
    variant_generator,
)

MAPS = np.linspace(-3, 3, 50, dtype=np.float32)
IMAGE = digest_pixels(np.zeros((4, 4, 3), np.uint8))
PHOTO, SCAN = ModalityConfig(), ModalityConfig(modality_type="ultrasound")
STATISTICS = {"mean": (0.5, 0.5, 0.5), "std": (0.2, 0.2, 0.2)}


def make(folder: Path, backbones: list[bytes] | None = None) -> FeatureCache:
    return FeatureCache(folder=folder, max_bytes=2**22, backbones=backbones or [b"a", b"b"])


@pytest.fixture
def cache(tmp_path: Path) -> FeatureCache:
    return make(tmp_path)


def keep(cache: FeatureCache, modality: int, image: bytes, variant: int | None) -> None:
    cache.store.write([cache.entry(modality, image, variant, MAPS)])


def test_images_are_kept_exactly_and_variants_in_float16(cache: FeatureCache, tmp_path: Path):
    for variant in (None, 0):
        assert not cache.has(0, IMAGE, variant)
        keep(cache, 0, IMAGE, variant)
    again = make(tmp_path)
    exact, rounded = (again.read(0, IMAGE, variant) for variant in (None, 0))
    assert exact is not None
    assert rounded is not None
    assert exact.dtype == np.float32
    assert (exact == MAPS).all()
    assert rounded.dtype == np.float16
    assert (rounded == MAPS.astype(np.float16)).all()


def test_nothing_is_confused(cache: FeatureCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    keep(cache, 0, IMAGE, 1)
    other = digest_pixels(np.ones((4, 4, 3), np.uint8))
    assert cache.has(0, IMAGE, 1)
    assert make(tmp_path, [b"x", b"a"]).has(1, IMAGE, 1)  # the position of the modality is nothing
    for modality, image, variant in [(1, IMAGE, 1), (0, other, 1), (0, IMAGE, 2), (0, IMAGE, None)]:
        assert not cache.has(modality, image, variant)
    keep(cache, 0, IMAGE, None)
    monkeypatch.setattr(module, "_augmentation", lambda: "another code")
    assert not cache.has(0, IMAGE, 1)
    assert cache.has(0, IMAGE, None)


def test_identities_cover_all_that_decides_the_maps():
    def of(backbone: bytes = b"a", modality: ModalityConfig = PHOTO, **changes: object) -> bytes:
        settings: dict[str, object] = {"size": 4, **STATISTICS, **changes}
        (identity,) = identities([backbone], [modality], **settings)  # type: ignore[arg-type]
        return identity

    different = {
        of(),
        of(b"b"),
        of(modality=SCAN),
        of(size=5),
        of(mean=(0.4, 0.5, 0.5)),
        of(std=(0.2, 0.2, 0.3)),
    }
    assert len(different) == 6
    assert of(mean=[0.5, 0.5, 0.5]) in different  # as read from JSON


def test_variants_depend_on_image_and_number_alone():
    other = digest_pixels(np.ones((4, 4, 3), np.uint8))
    draws = [variant_generator(*key).random() for key in [(IMAGE, 0), (IMAGE, 1), (other, 0)]]
    assert len(set(draws)) == 3
    assert variant_generator(IMAGE, 0).random() == draws[0]


def test_maps_of_a_batch_are_all_or_none(cache: FeatureCache):
    pixels = np.arange(3 * 48, dtype=np.uint8).reshape(3, 4, 4, 3)
    present = np.array([True, False, True])
    for image in pixels[present][:1]:
        keep(cache, 0, digest_pixels(image), None)
    assert cache.images(0, pixels, present) is None
    keep(cache, 0, digest_pixels(pixels[2]), None)
    maps = cache.images(0, pixels, present)
    assert maps is not None
    assert (maps == np.stack([MAPS, 0 * MAPS, MAPS])).all()
    assert cache.images(0, pixels, np.zeros(3, bool)) is None
    assert stack_maps(iter([]), np.zeros(3, bool)) is None


def test_room_is_needed_for_all(cache: FeatureCache, caplog: pytest.LogCaptureFixture):
    assert cache.expect([b"x"], [0, 1, None], width=1000)
    assert not caplog.records
    assert not cache.expect([b"x"], [0] * 1000, width=1000)
    assert "room for about 688 of 1000 feature maps, so none is kept" in caplog.text
