from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from agfnet.config import Resize
from agfnet.data.preprocess import load, normalise, prepare
from agfnet.errors import ImageError

WAYS: list[Resize] = ["crop", "pad", "stretch"]


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    size=st.integers(1, 70),
    resize=st.sampled_from(WAYS),
)
def test_any_size_becomes_square(height: int, width: int, size: int, resize: Resize):
    square = prepare(np.full((height, width, 3), 77, np.uint8), size=size, resize=resize)
    assert square.shape == (size, size, 3)
    assert square.dtype == np.uint8
    inside = square[square[..., 0] > 0] if resize == "pad" else square
    assert len(inside)
    assert (inside == 77).all()


@pytest.mark.parametrize("resize", WAYS)
def test_the_right_size_is_left_alone(resize: Resize):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    assert (prepare(pixels, size=9, resize=resize) == pixels).all()


def test_crop_keeps_the_centre_pad_keeps_all():
    pixels = np.zeros((10, 30, 3), dtype=np.uint8)
    pixels[:, :10], pixels[:, 10:20], pixels[:, 20:] = 50, 100, 150
    assert (prepare(pixels, size=10, resize="crop") == 100).all()
    padded = prepare(pixels, size=30, resize="pad")
    assert (padded[10:20] == pixels).all()
    assert padded[:10].max() == padded[20:].max() == 0
    stretched = prepare(pixels, size=30, resize="stretch")
    assert stretched[0, [3, 15, 26], 0].tolist() == [50, 100, 150]
    upright = prepare(np.ascontiguousarray(pixels.transpose(1, 0, 2)), size=30, resize="pad")
    assert (upright == padded.transpose(1, 0, 2)).all()


@pytest.mark.parametrize("side", [64, 1000])
def test_downscaling_is_antialiased(side: int):
    stripes = np.zeros((side, side, 3), dtype=np.uint8)
    stripes[:, ::2] = 200
    assert np.abs(prepare(stripes, size=16, resize="crop").astype(int) - 100).max() <= 12


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_image(pixels: np.ndarray):
    with pytest.raises(ValueError, match=r"expected \(H, W, 3\) uint8"):
        prepare(pixels, size=4, resize="crop")


def test_what_is_no_size():
    pixels = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match="size is 0"):
        prepare(pixels, size=0, resize="crop")
    with pytest.raises(ValueError, match="expected crop, pad or stretch"):
        prepare(pixels, size=4, resize="squash")  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(5, 4, 3), (2, 5, 4, 3)])
def test_normalise(shape: tuple[int, ...]):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    planes = normalise(pixels, mean=mean, std=std)
    expected = np.moveaxis((pixels / 255.0 - mean) / std, -1, -3)
    assert planes.dtype == np.float32
    assert planes.flags.c_contiguous
    assert planes.shape == (*shape[:-3], 3, *shape[-3:-1])
    np.testing.assert_allclose(planes, expected, rtol=0, atol=1e-5)


def test_load(tmp_path: Path):
    path = tmp_path / "a.jpg"
    Pillow.new("RGB", (800, 600), (200, 30, 60)).save(path)
    square = load(path, size=50, resize="crop")
    assert square.shape == (50, 50, 3)
    assert square[25, 25].tolist() == pytest.approx([200, 30, 60], abs=3)
    with pytest.raises(ImageError, match="no such file"):
        load(tmp_path / "b.jpg", size=50, resize="crop")
