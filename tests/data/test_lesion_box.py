from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from agfnet.data.lesion_box import find_lesion, is_cut, is_small, propose_crop, whole_pixels
from agfnet.data.table import read_cases


def test_lesions_of_phantom_photographs(cohort: Path) -> None:
    overlaps = []
    for case in read_cases(cohort, modalities=["clinical"]).cases[:40]:
        if not case.images["clinical"]:
            continue
        pixels = np.asarray(Pillow.open(case.images["clinical"][0]).convert("RGB"))
        truth = np.asarray(Pillow.open(case.masks["clinical"][0]).convert("L")) > 127
        lesion = find_lesion(pixels)
        if lesion is None:
            overlaps.append(0.0)
            continue
        mask = np.asarray(Pillow.fromarray(lesion.mask).resize(truth.shape[::-1]))
        overlaps.append(float((mask & truth).sum() / (mask | truth).sum()))
    assert len(overlaps) > 20
    assert np.median(overlaps) > 0.6
    assert np.mean(np.array(overlaps) > 0.3) > 0.8


@pytest.mark.parametrize(
    "disturb",
    [
        lambda p: p,
        lambda p: p * np.linspace(0.6, 1.1, p.shape[1])[None, :, None],  # uneven light
        lambda p: p * vignette(p.shape)[..., None],
        lambda p: hairs(p),
    ],
    ids=["plain", "light", "vignette", "hair"],
)
def test_hair_and_light_are_not_the_lesion(disturb: Callable[..., np.ndarray]) -> None:
    rows, columns = np.mgrid[:240, :320]
    pixels = np.full((240, 320, 3), (205.0, 160.0, 135.0))
    pixels += np.random.default_rng(1).normal(0, 3, pixels.shape)
    pixels[(rows - 60) ** 2 + (columns - 250) ** 2 < 22**2] *= (0.7, 0.55, 0.5)
    lesion = find_lesion(np.clip(disturb(pixels), 0, 255).astype(np.uint8))
    assert lesion is not None
    x, y, width, height = whole_pixels(lesion.box, (240, 320))
    assert abs(x + width / 2 - 250) < 8
    assert abs(y + height / 2 - 60) < 8
    assert 30 <= max(width, height) <= 64


def vignette(shape: tuple[int, ...]) -> np.ndarray:
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape[:2]), indexing="ij")
    return 1 - 0.35 * (x**2 + y**2) / 2


def hairs(pixels: np.ndarray) -> np.ndarray:
    pixels = pixels.copy()
    for start in range(20, 220, 40):
        for column in range(320):
            pixels[(start + column // 4) % 238 : (start + column // 4) % 238 + 2, column] = 40
    return pixels


def test_plain_skin_has_no_lesion() -> None:
    noise = np.random.default_rng(0).normal(0, 3, (120, 160, 3))
    skin = np.clip(np.array((205, 160, 135)) + noise, 0, 255).astype(np.uint8)
    assert find_lesion(skin) is None
    assert find_lesion(np.zeros((120, 160, 3), np.uint8)) is None
    assert find_lesion(skin[:10, :10]) is None


def test_a_crop_is_a_square_in_the_image() -> None:
    assert propose_crop((10, 5, 40, 20), (300, 400)) == (0, 0, 80, 80)
    assert propose_crop((180, 140, 40, 20), (300, 400)) == (160, 110, 80, 80)
    assert propose_crop((100, 100, 290, 180), (300, 400)) == (95, 0, 300, 300)
    assert whole_pixels((0.125, 0, 0.5, 1), (60, 80)) == (10, 0, 30, 60)
    seen = (50, 0, 300, 300)
    assert is_cut((30, 10, 100, 100), seen)
    assert not is_cut((45, 10, 100, 100), seen)
    assert is_small((100, 100, 50, 59), seen)
    assert not is_small((100, 100, 50, 61), seen)
