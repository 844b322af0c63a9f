from __future__ import annotations

import numpy as np
import pytest
from PIL import Image as Pillow

from agfnet.config import ModalityType
from agfnet.data import transforms
from agfnet.data.transforms import augment

KINDS: list[ModalityType] = ["photo", "ultrasound"]


def many(pixels: np.ndarray, kind: ModalityType, count: int = 60) -> list[np.ndarray]:
    return [augment(pixels, kind=kind, rng=np.random.default_rng(seed)) for seed in range(count)]


@pytest.fixture
def intensity_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transforms, "_rotate", lambda pixels, _: Pillow.fromarray(pixels))
    monkeypatch.setattr(transforms, "_shift", lambda pixels, _: pixels)


@pytest.fixture
def geometry_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIGHT", "HUE", "GAIN", "CONTRAST"):
        monkeypatch.setattr(transforms, name, 0.0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 3, 3), (33, 33, 3), (20, 50, 3)])
def test_shape_and_type_stay(kind: ModalityType, shape: tuple[int, ...]):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    kept = pixels.copy()
    for result in many(pixels, kind, 5):
        assert result.shape == shape
        assert result.dtype == np.uint8
    assert (pixels == kept).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_generator_decides(kind: ModalityType):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    first, again = many(pixels, kind, 5), many(pixels, kind, 5)
    assert all((one == other).all() for one, other in zip(first, again, strict=True))
    assert len({result.tobytes() for result in first}) == 5


@pytest.mark.parametrize("kind", KINDS)
def test_read_only_pixels_are_fine(kind: ModalityType):
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    pixels.flags.writeable = False
    augment(pixels, kind=kind, rng=np.random.default_rng(0))


@pytest.mark.parametrize("kind", KINDS)
def test_grey_stays_grey(kind: ModalityType):
    grey = np.random.default_rng(0).integers(0, 256, (24, 24, 1), dtype=np.uint8).repeat(3, axis=2)
    for result in many(grey, kind):
        assert np.ptp(result.astype(int), axis=2).max() <= 1


def test_unknown_kind():
    with pytest.raises(ValueError, match="expected photo or ultrasound"):
        augment(np.zeros((4, 4, 3), np.uint8), kind="x", rng=np.random.default_rng(0))  # type: ignore[arg-type]


def mark_angles(pixels: np.ndarray, kind: ModalityType) -> np.ndarray:
    """Where a mark right of the centre and above it goes, as angles from -pi to pi."""
    half = len(pixels) // 2
    pixels[half - 12 : half - 8, half + 14 : half + 18] = 200
    angles = []
    for result in many(pixels, kind, 100):
        y, x = np.nonzero(result[..., 0] > 100)
        angles.append(np.arctan2(half - y.mean(), x.mean() - half))
    return np.array(angles)


def test_photos_turn_at_will():
    angles = mark_angles(np.full((64, 64, 3), 20, np.uint8), "photo")
    assert np.histogram(angles, bins=8, range=(-np.pi, np.pi))[0].min() > 3


def test_ultrasound_never_turns_depth_over():
    angles = mark_angles(np.zeros((64, 64, 3), np.uint8), "ultrasound")
    assert (angles > 0.2).all()
    assert (angles < np.pi - 0.2).all()
    assert 30 < (angles > np.pi / 2).sum() < 70


@pytest.mark.usefixtures("geometry_only")
def test_photos_have_no_black_corners():
    bright = np.full((40, 40, 3), 180, np.uint8)
    for result in many(bright, "photo"):
        assert np.abs(result.astype(int) - 180).max() <= 1


@pytest.mark.usefixtures("geometry_only")
def test_photos_are_flipped_and_zoomed():
    y, x = np.mgrid[:64, :64]
    # an L: its mirror image is no rotation of it
    shape = ((x > 24) & (x < 30) & (y > 20) & (y < 44)) | (
        (y > 38) & (y < 44) & (x > 24) & (x < 40)
    )
    pixels = np.where(shape, 255, 0).astype(np.uint8)[..., None].repeat(3, axis=2)
    handed, areas = [], []
    for result in many(pixels, "photo", 100):
        y, x = np.nonzero(result[..., 0] > 127)
        dx, dy = x - x.mean(), y - y.mean()
        # about the main axis, the third moments tell an L from its mirror image
        angle = 0.5 * np.arctan2(2 * (dx * dy).mean(), (dx**2 - dy**2).mean())
        u = dx * np.cos(angle) + dy * np.sin(angle)
        v = -dx * np.sin(angle) + dy * np.cos(angle)
        handed.append((u**3).mean() * (v**3).mean() > 0)
        areas.append(len(x))
    assert 25 < sum(handed) < 75
    assert max(areas) / min(areas) > 1.4


@pytest.mark.usefixtures("geometry_only")
def test_photos_are_shifted_and_interpolated():
    y, x = np.mgrid[:64, :64] - 31.5
    pixels = np.where(x**2 + y**2 < 150, 255, 0).astype(np.uint8)[..., None].repeat(3, axis=2)
    results = [result[..., 0] for result in many(pixels, "photo")]
    centres = [(result > 127).nonzero() for result in results]
    spread = np.std([(rows.mean(), columns.mean()) for rows, columns in centres], axis=0)
    assert (spread > 1).all()
    assert (spread < 3).all()
    assert all(len(np.unique(result)) > 20 for result in results)


@pytest.mark.usefixtures("intensity_only")
@pytest.mark.parametrize("kind", KINDS)
def test_light_varies_mildly(kind: ModalityType):
    pixels = np.full((16, 16, 3), 120, np.uint8)
    pixels[:8] = 80
    means = [result.mean() for result in many(pixels, kind)]
    ranges = [np.ptp(result[..., 0].astype(int)) for result in many(pixels, kind)]
    assert 70 < min(means) < 95
    assert 105 < max(means) < 125
    assert 20 < min(ranges) < max(ranges) < 60


@pytest.mark.usefixtures("intensity_only")
def test_saturation_and_hue_vary_mildly_in_photos():
    pixels = np.full((12, 12, 3), (170, 130, 90), np.uint8)
    pixels[:4], pixels[4:8] = 110, 150
    saturations, hues = [], []
    for result in many(pixels, "photo"):
        colours = np.unique(result.reshape(-1, 3), axis=0).astype(float)
        greys = [colour[0] for colour in colours if np.ptp(colour) <= 1]
        (skin,) = (colour for colour in colours if np.ptp(colour) > 1)
        contrast = (max(greys) - min(greys)) / 40
        saturations.append(np.ptp(skin) / 80 / contrast)
        hues.append((skin[0] - skin[1]) / np.ptp(skin))
    assert 0.7 < min(saturations) < 0.9
    assert 1.1 < max(saturations) < 1.3
    assert 0.35 < min(hues) < 0.48
    assert 0.52 < max(hues) < 0.65


def test_black_stays_black_in_ultrasound():
    assert all(result.max() == 0 for result in many(np.zeros((8, 8, 3), np.uint8), "ultrasound"))


@pytest.mark.usefixtures("geometry_only")
def test_ultrasound_is_shifted_by_whole_pixels():
    pixels = np.random.default_rng(0).integers(1, 256, (60, 60, 3), dtype=np.uint8)
    values = set(pixels.ravel().tolist()) | {0}
    rows, columns = set(), set()
    for result in many(pixels, "ultrasound"):
        assert set(result.ravel().tolist()) <= values
        rows.add(int((result.max(axis=(1, 2)) == 0).sum()))
        columns.add(int((result.max(axis=(0, 2)) == 0).sum()))
    assert rows == {0, 1, 2}
    assert columns == set(range(6))
