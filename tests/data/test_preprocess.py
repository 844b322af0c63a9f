from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from agfnet.config import ModalityConfig, Resize
from agfnet.data.preprocess import load, locate, normalise, prepare, prepare_image
from agfnet.data.readers import Image
from agfnet.errors import ConfigError, ImageError

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
    square = load(path, size=50, modality=ModalityConfig())
    assert square.shape == (50, 50, 3)
    assert square[25, 25].tolist() == pytest.approx([200, 30, 60], abs=3)
    with pytest.raises(ImageError, match="no such file"):
        load(tmp_path / "b.jpg", size=50, modality=ModalityConfig())


# ultrasound


def checks(height: int, width: int) -> np.ndarray:
    """A grid with a bright line in the row 20 % down, on grey of two values."""
    pixels = np.full((height, width, 3), 90, dtype=np.uint8)
    pixels[: height // 5] = 4
    pixels[height // 5 : height // 5 + max(2, height // 40)] = 250
    return pixels


def scaled(pixels: np.ndarray, spacing: tuple[float, float] | None, **options: Any) -> np.ndarray:
    settings = ModalityConfig(modality_type="ultrasound", **options)
    return prepare_image(Image(pixels, spacing), name="x.png", size=50, modality=settings)


def test_by_default_nothing_is_prepared():
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    plain = prepare(pixels, size=50, resize="pad")
    assert (scaled(pixels, (0.1, 0.1), resize="pad") == plain).all()


def test_a_common_scale():
    pixels = np.zeros((100, 200, 3), dtype=np.uint8)
    pixels[30:40, 90:110] = 255  # 1 mm deep, 2 mm wide, 3 mm down
    square = scaled(pixels, (0.1, 0.1), pixel_spacing=0.2)
    assert square.shape == (50, 50, 3)
    bright = np.argwhere(square[..., 0] > 127)
    assert bright.min(axis=0).tolist() == [15, 20]
    assert bright.max(axis=0).tolist() == [19, 29]
    # the same tissue, where rows are twice as dense
    dense = scaled(np.repeat(pixels, 2, axis=0), (0.05, 0.1), pixel_spacing=0.2)
    assert np.abs(dense.astype(int) - square).max() <= 30


def test_a_common_scale_keeps_the_upper_middle_and_fills_with_black():
    pixels = np.full((100, 100, 3), 200, dtype=np.uint8)
    small = scaled(pixels, (0.1, 0.1), pixel_spacing=0.4)  # 25 x 25 pixels
    assert (small[:25, 12:37] == 200).all()
    assert small[25:].max() == small[:, :12].max() == small[:, 37:].max() == 0
    large = scaled(pixels, (0.1, 0.1), pixel_spacing=0.01)
    assert (large == 200).all()


def test_an_image_that_is_moved_up_brings_what_was_below():
    pixels = checks(200, 100)
    square = scaled(
        pixels, (0.1, 0.1), pixel_spacing=0.2, skin_surface="shift", skin_surface_depth=0.1
    )
    assert square.shape == (50, 50, 3)
    assert square[5:8].max() > 200
    assert square[-1].min() > 60  # not black: there is more below


def test_an_absurd_scale_needs_no_absurd_memory():
    square = scaled(np.full((300, 300, 3), 9, np.uint8), (33.3, 33.3), pixel_spacing=0.001)
    assert (square == 9).all()


def test_without_a_scale_a_common_one_is_an_error():
    with pytest.raises(ImageError, match=r"x\.png: does not state its scale, which pixel_spacing"):
        scaled(checks(60, 60), None, pixel_spacing=0.1)


def test_skin_goes_to_its_depth():
    pixels = checks(100, 100)
    assert scaled(pixels, None)[10:13, 25].max() > 200
    moved = scaled(pixels, None, skin_surface="shift", skin_surface_depth=0.4)
    assert moved[20:23, 25].max() > 200
    assert moved[:9].max() == 0
    assert (scaled(pixels, None, skin_surface="flatten", skin_surface_depth=0.4) == moved).all()


def test_steps_follow_each_other():
    """Field, then marks, then scale: each works on what the one before has left."""
    rng = np.random.default_rng(0)
    tissue = rng.integers(60, 120, (200, 200, 3), dtype=np.uint8)
    tissue[..., 1] = tissue[..., 2] = tissue[..., 0]
    tissue[60:62, 40:60] = 255
    shown = np.zeros((300, 400, 3), dtype=np.uint8)
    shown[50:250, 100:300] = tissue
    square = scaled(shown, None, crop_field_of_view=True, remove_annotations=True)
    assert 40 < square.min() <= square.max() < 160


@pytest.mark.parametrize(
    "setting",
    [
        {"crop_field_of_view": True},
        {"remove_annotations": True},
        {"pixel_spacing": 0.1},
        {"skin_surface": "shift"},
    ],
)
def test_a_photo_is_not_prepared_as_ultrasound(setting: dict[str, Any]):
    ModalityConfig(modality_type="ultrasound", **setting)
    with pytest.raises(ConfigError, match=f"{min(setting)}: .* is a preparation of ultrasound"):
        ModalityConfig(modality_type="photo", **setting)


@pytest.mark.parametrize(
    "setting", [{"pixel_spacing": 0}, {"pixel_spacing": -1}, {"skin_surface_depth": 1}]
)
def test_settings_out_of_range(setting: dict[str, Any]):
    with pytest.raises(ConfigError, match="is out of range"):
        ModalityConfig(modality_type="ultrasound", **setting)


@pytest.mark.parametrize("shape", [(128, 1), (1, 128), (7, 8)])
def test_an_image_that_is_a_line_is_refused(shape: tuple[int, int]):
    image = Image(np.zeros((*shape, 3), np.uint8))
    modality = ModalityConfig()
    with pytest.raises(ImageError, match=f"is {shape[1]} x {shape[0]} pixels, too small"):
        prepare_image(image, name="x", size=32, modality=modality)


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("shape", [(200, 320), (320, 200)])
def test_pixels_that_are_not_square_look_like_those_that_are(
    resize: Resize, shape: tuple[int, int]
):
    """The same tissue, sampled with half as many rows or columns."""
    height, width = shape
    rows, columns = np.indices(shape)
    around = (rows - height / 2) ** 2 + (columns - width / 2) ** 2 < 60**2  # a disc
    pixels = np.repeat(np.where(around, 220, 40).astype(np.uint8)[..., None], 3, axis=2)
    modality = ModalityConfig(modality_type="ultrasound", resize=resize)
    square = prepare_image(Image(pixels), name="a", size=64, modality=modality)
    for axis, aspect in ((0, 2), (1, 0.5)):
        short = pixels[::2] if axis == 0 else pixels[:, ::2]
        image = Image(short, aspect=aspect)
        same = prepare_image(image, name="b", size=64, modality=modality)
        assert np.abs(same.astype(float) - square).mean() < 4
        geometry = locate(image, name="b", size=64, modality=modality)
        back = geometry.to_square(short[..., 0])
        assert np.abs(back.astype(float) - same[..., 0]).mean() < 6
