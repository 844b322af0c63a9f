from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from agfnet.check import pairs
from agfnet.check.pairs import describe, same_images, turned

RNG = np.random.default_rng(0)


def texture(seed: int, size: int = 224) -> Image.Image:
    """Something with detail at every scale, as skin has."""
    rng = np.random.default_rng(seed)
    image = np.zeros((size, size))
    for side in (4, 8, 16, 32, 64):
        grey = Image.fromarray(rng.normal(size=(side, side)).astype(np.float32))
        image += np.asarray(grey.resize((size, size), Image.Resampling.BICUBIC)) / side**0.5
    return Image.fromarray(np.clip(128 + 90 * image, 0, 255).astype(np.uint8))


def thumb(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("L").resize((32, 32), Image.Resampling.BOX))


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


def found(*images: Image.Image) -> list[list[int]]:
    thumbs = np.stack([thumb(image) for image in images])
    return same_images(thumbs, np.arange(len(images))).tolist()


COPIES = {
    "encoded": lambda image: jpeg(image, 50),
    "smaller": lambda image: image.resize((120, 100)),
    "brighter": lambda image: image.point(lambda grey: 0.8 * grey + 30),
    **{turn.name: lambda image, turn=turn: image.transpose(turn) for turn in Image.Transpose},
    "all": lambda image: jpeg(image.resize((150, 150)).rotate(180), 70),
}


@pytest.mark.parametrize("copy", COPIES)
def test_copies_are_found_among_others(copy: str) -> None:
    images = [texture(seed) for seed in range(20)]
    assert found(*images, COPIES[copy](images[7])) == [[7, 20]]


def test_different_images_are_not_the_same() -> None:
    assert found(*[texture(seed, 64) for seed in range(200)]) == []


def test_lesions_in_the_middle_are_not_the_same() -> None:
    y, x = np.mgrid[-1:1:224j, -1:1:224j]
    images = []
    for seed in range(40):
        blob = 120 * np.exp(-((x / 0.3) ** 2) - (y / 0.35) ** 2)
        images.append(
            Image.fromarray(np.uint8(np.clip(np.asarray(texture(seed)) / 4 + blob, 0, 255)))
        )
    assert found(*images) == []


def test_flat_images_are_like_no_other() -> None:
    flat = Image.new("L", (64, 64), 90)
    layers = Image.fromarray(np.repeat(RNG.integers(0, 256, (64, 1)), 64, 1).astype(np.uint8))
    assert found(flat, flat, layers, layers) == []


def test_only_the_numbered_ones_are_compared() -> None:
    image = thumb(texture(0))
    thumbs = np.stack([image, thumb(texture(1)), image, image])
    assert same_images(thumbs, np.array([1, 3, 0])).tolist() == [[1, 2]]
    assert same_images(thumbs, np.array([], dtype=np.int64)).shape == (0, 2)


def test_chunks_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    images = [texture(seed, 64) for seed in (0, 1, 2, 0, 1, 0)]
    whole = found(*images)
    assert whole == [[0, 3], [0, 5], [1, 4], [3, 5]]
    monkeypatch.setattr(pairs, "CHUNK", 2)
    assert found(*images) == whole


def test_crowded_bands_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "CROWD", 2)
    assert found(*[texture(0)] * 3) == []
    assert found(*[texture(0)] * 2) == [[0, 1]]


def test_turned_coefficients_are_those_of_the_turned_image() -> None:
    image = np.stack([thumb(texture(3))])
    ways = list(turned(describe(image)))
    for turns in range(4):
        for each in (np.rot90(image, turns, (1, 2)), np.rot90(image, turns, (1, 2))[:, ::-1]):
            assert any(np.allclose(describe(each), way, atol=1e-4) for way in ways)
