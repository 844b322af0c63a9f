"""RandAugment within what the type of an image allows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agfnet.config import BackboneConfig, DataConfig, ModalityType, ModelConfig, TrainConfig
from agfnet.data.rand_augment import OPERATIONS, policy, rand_augment
from agfnet.errors import ConfigError

SIDE = 48


def changed(pixels: np.ndarray, kind: ModalityType, seed: int, **options: int) -> np.ndarray:
    values = {"operations": 2, "magnitude": 9} | options
    return rand_augment(pixels, kind=kind, rng=np.random.default_rng(seed), **values)


def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(30, 250, (SIDE, SIDE, 3), dtype=np.uint8)


@pytest.mark.parametrize("kind", ["photo", "ultrasound"])
def test_the_generator_alone_decides(kind: ModalityType) -> None:
    images = []
    for _ in range(2):
        torch.manual_seed(len(images))
        before = torch.random.get_rng_state()
        images.append(changed(noise(), kind, seed=5))
        assert torch.equal(torch.random.get_rng_state(), before)
    np.testing.assert_array_equal(*images)
    variety = {changed(noise(), kind, seed=seed).tobytes() for seed in range(20)}
    assert len(variety) > 5


@pytest.mark.parametrize("kind", ["photo", "ultrasound"])
def test_torchvision_draws_from_the_allowed_operations_only(
    kind: ModalityType, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied = set()
    transform = policy(kind, 1, 9)
    original = type(transform)._apply_image_or_video_transform

    def record(self: object, image: object, name: str, *rest: object, **options: object) -> object:
        applied.add(name)
        return original(self, image, name, *rest, **options)

    monkeypatch.setattr(type(transform), "_apply_image_or_video_transform", record)
    for seed in range(80):
        changed(noise(), kind, seed=seed, operations=1)
    assert applied == set(OPERATIONS[kind])


def test_an_ultrasound_image_keeps_depth_and_black() -> None:
    image = noise()
    image[:10] = 0  # gel above the skin
    image[10:20] = 240  # the skin line
    for seed in range(60):
        result = changed(image, "ultrasound", seed, magnitude=15)
        assert result[:8].max() == 0  # sharpness reaches one row each time
        bright = result.mean(axis=(1, 2))
        assert bright[10:20].mean() > bright[30:].mean()


def test_a_photo_has_no_black_corners() -> None:
    image = np.full((SIDE, SIDE, 3), 200, dtype=np.uint8)
    for seed in range(60):
        result = changed(image, "photo", seed, operations=4, magnitude=15)
        assert result.max() - result.min() <= 2  # all operations keep an even image even


def test_kept_feature_maps_are_refused() -> None:
    with pytest.raises(ConfigError, match="rand_augment"):
        TrainConfig(
            data=DataConfig(cases="x.csv", feature_variants=2, rand_augment=2),
            model=ModelConfig(backbone=BackboneConfig(frozen=True, weights="timm")),
        )
