"""A bright square at a known place: through every preparation and back again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agfnet.config import ModalityConfig
from agfnet.data.preprocess import load, locate, prepare_image, read_for
from agfnet.data.readers import Image as Read

SIZE = 64
HEIGHT, WIDTH = 120, 200
UPRIGHT = (60, 80, 70, 100)  # rows and columns of the square


def picture(square: tuple[int, int, int, int] = UPRIGHT) -> np.ndarray:
    pixels = np.full((HEIGHT, WIDTH, 3), 30, dtype=np.uint8)
    top, bottom, left, right = square
    pixels[top:bottom, left:right] = 250
    return pixels


def square_of(found: np.ndarray) -> tuple[float, float, float, float]:
    """Rows and columns of what is bright."""
    rows, columns = np.nonzero(np.nan_to_num(found) > 0.5)
    return rows.min(), rows.max() + 1, columns.min(), columns.max() + 1


def back(path: Path, modality: ModalityConfig, shape: tuple[int, int]) -> np.ndarray:
    """What is bright in the prepared image, at the pixels of the upright image."""
    image = read_for(path, size=SIZE, modality=modality)
    geometry = locate(image, name="x", size=SIZE, modality=modality)
    prepared = load(path, size=SIZE, modality=modality)[..., 0].astype(np.float32)
    return geometry.to_image((prepared > 140).astype(np.float32), shape)


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_a_square_comes_back_to_its_place(resize: str, orientation: int, tmp_path: Path) -> None:
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transpositions, turned back
    stored = Image.fromarray(picture())
    if orientation > 1:
        stored = stored.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "photo.png"
    stored.save(path, exif=exif)
    found = back(path, ModalityConfig(resize=resize), (HEIGHT, WIDTH))  # type: ignore[arg-type]
    pixel = WIDTH / SIZE if resize != "crop" else HEIGHT / SIZE
    np.testing.assert_allclose(square_of(found), UPRIGHT, atol=pixel)
    outside = np.isnan(found)
    assert outside[:, : (WIDTH - HEIGHT) // 2 - 2].all() == (resize == "crop")
    assert not outside[:, WIDTH // 2].any()
    small = back(path, ModalityConfig(resize=resize), (HEIGHT // 2, WIDTH // 2))  # type: ignore[arg-type]
    np.testing.assert_allclose(square_of(small), np.array(UPRIGHT) / 2, atol=pixel / 2 + 1)


def test_a_reduced_photograph_has_the_geometry_of_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    Image.fromarray(picture()).resize((10 * WIDTH, 10 * HEIGHT)).save(path)
    image = read_for(path, size=SIZE, modality=ModalityConfig())
    assert image.pixels.shape[1] < 10 * WIDTH
    found = back(path, ModalityConfig(), (HEIGHT, WIDTH))
    np.testing.assert_allclose(square_of(found), UPRIGHT, atol=2.5)


def speckle(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(20, 120, (height, width), dtype=np.uint8)


def scan() -> np.ndarray:
    """A screen: an ultrasound image in the middle of black, skin that slopes down, a square."""
    screen = np.zeros((300, 400), dtype=np.uint8)
    field = speckle(200, 240)
    line = (30 + np.arange(240) // 12).astype(int)
    for column, row in enumerate(line):
        field[:row, column] = 3 * (field[:row, column] % 3)
        field[row : row + 5, column] = 255
    field[120:160, 100:150] = 250
    screen[60:260, 90:330] = field
    return np.repeat(screen[..., None], 3, axis=2)


@pytest.mark.parametrize("skin", ["keep", "shift", "flatten"])
@pytest.mark.parametrize("crop_field_of_view", [False, True])
def test_a_square_comes_back_through_field_and_skin_line(
    skin: str, crop_field_of_view: bool
) -> None:
    modality = ModalityConfig(
        modality_type="ultrasound",
        resize="stretch",
        crop_field_of_view=crop_field_of_view,
        skin_surface=skin,  # type: ignore[arg-type]
    )  # fmt: skip
    pixels = scan()
    geometry = locate(Read(pixels), name="x", size=SIZE, modality=modality)
    assert bool(geometry.moves.any()) == (skin != "keep")
    assert (len(set(geometry.moves.tolist())) > 1) == (skin == "flatten")
    prepared = prepare_image(Read(pixels), name="x", size=SIZE, modality=modality)
    again = geometry.to_image((prepared[..., 0] > 200).astype(np.float32), pixels.shape[:2])
    assert np.isnan(again[:, 350:]).all() == crop_field_of_view
    pixel = 300 / SIZE
    again[:150] = 0  # the skin, which is as bright
    np.testing.assert_allclose(square_of(again), (180, 220, 190, 240), atol=pixel)


def test_a_common_scale_has_a_place_too() -> None:
    modality = ModalityConfig(modality_type="ultrasound", pixel_spacing=0.1)
    image = Read(picture(), spacing=(0.05, 0.1))
    geometry = locate(image, name="x", size=SIZE, modality=modality)
    prepared = prepare_image(image, name="x", size=SIZE, modality=modality)
    found = geometry.to_image((prepared[..., 0] > 140).astype(np.float32), (HEIGHT, WIDTH))
    np.testing.assert_allclose(square_of(found), UPRIGHT, atol=2)


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
def test_a_mask_follows_its_image(resize: str) -> None:
    modality = ModalityConfig(resize=resize)  # type: ignore[arg-type]
    image = Read(picture())
    geometry = locate(image, name="x", size=SIZE, modality=modality)
    mask = geometry.to_square(image.pixels[..., 0] > 140)
    prepared = prepare_image(image, name="x", size=SIZE, modality=modality)[..., 0] > 140
    assert (mask != prepared).sum() <= 0.02 * mask.size
    assert mask.any()
