from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from agfnet.check.marks import coloured_marks, white_marks


def tissue(seed: int = 0, size: int = 224) -> np.ndarray:
    """Speckle of grains of two pixels, brighter layers and a saturated, thin entry echo."""
    rng = np.random.default_rng(seed)
    field = rng.normal(size=(2, size, size))
    for axis in (1, 2):
        field = field + np.roll(field, 1, axis)
    depth = np.linspace(0, 1, size)[:, None]
    speckle = 20 * np.log10(np.hypot(*field) + 1e-3) + 12 - 40 * depth
    speckle[size // 3 : size // 3 + 30] += 25
    grey = np.clip(255 * (speckle + 40) / 60, 0, 255)
    grey[20:22] = 255
    return grey.astype(np.uint8)


def drawn(text: str, at: tuple[int, int], fill: str = "white") -> np.ndarray:
    image = Image.fromarray(tissue()).convert("RGB")
    font = ImageFont.load_default(size=14)
    ImageDraw.Draw(image).text(at, text, fill=fill, font=font)
    return np.asarray(image)


def marks(pixels: np.ndarray) -> tuple[bool, bool]:
    chroma = np.ptp(pixels, axis=2)
    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    return white_marks(grey, chroma), coloured_marks(chroma)


@pytest.mark.parametrize("seed", range(10))
def test_tissue_is_clean(seed: int) -> None:
    assert marks(np.repeat(tissue(seed)[..., None], 3, 2)) == (False, False)


@pytest.mark.parametrize("text", ["1 D 4.2 mm", "L", "22 MHz"])
@pytest.mark.parametrize("at", [(5, 205), (60, 120)])
def test_white_text_is_found(text: str, at: tuple[int, int]) -> None:
    expected = len(text) > 1  # a single stroke may be anything
    assert marks(drawn(text, at)) == (expected, False)


def test_callipers_are_found() -> None:
    image = Image.fromarray(tissue()).convert("RGB")
    for x, y in ((60, 130), (150, 160)):
        ImageDraw.Draw(image).line([(x - 4, y), (x + 4, y)], fill="white")
        ImageDraw.Draw(image).line([(x, y - 4), (x, y + 4)], fill="white")
    assert marks(np.asarray(image)) == (True, False)


def test_coloured_text_is_coloured() -> None:
    assert marks(drawn("1 D 4.2 mm", (60, 120), "yellow")) == (False, True)


def test_doppler_is_no_mark() -> None:
    image = Image.fromarray(tissue()).convert("RGB")
    draw = ImageDraw.Draw(image)
    for x in (50, 90):
        draw.line([(x, 60), (x + 10, 90), (x, 130)], fill="red", width=9)
    assert marks(np.asarray(image)) == (False, False)


def test_a_photograph_is_no_mark() -> None:
    skin = np.full((64, 64, 3), (200, 140, 110), dtype=np.uint8)
    skin[20:40, 30:32] = (20, 20, 200)
    assert marks(skin) == (False, False)


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 3), (5, 5)])
def test_tiny_images(shape: tuple[int, int]) -> None:
    assert marks(np.zeros((*shape, 3), dtype=np.uint8)) == (False, False)
