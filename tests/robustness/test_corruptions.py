from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from agfnet.config import ModalityType
from agfnet.robustness.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from agfnet.robustness.corruptions_photo import Pixels

EVERY = [(modality_type, name) for modality_type, found in CORRUPTIONS.items() for name in found]
every = pytest.mark.parametrize(("modality_type", "name"), EVERY)


def corrupted(
    pixels: Pixels, modality_type: ModalityType, name: str, severity: int, key: str
) -> Pixels:
    return corrupt(pixels, modality_type=modality_type, name=name, severity=severity, key=key)


def smooth(side: int, seed: int) -> Pixels:
    """An image that is not flat anywhere and looks the same at every size."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    waves = [np.sin(rng.uniform(5, 40) * x + rng.uniform(5, 40) * y + c) for c in range(3)]
    return (128 + 70 * np.stack(waves, axis=2)).astype(np.uint8)


def distance(a: Pixels, b: Pixels) -> float:
    return float(np.abs(a.astype(float) - b).mean())


@every
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 3), (41, 23), (230, 240)])
def test_shape_and_type_stay_at_every_severity(
    modality_type: ModalityType, name: str, shape: tuple[int, int]
):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    pixels.flags.writeable = False
    for severity in SEVERITIES:
        result = corrupted(pixels, modality_type, name, severity, "L1")
        assert result.shape == pixels.shape
        assert result.dtype == np.uint8


@every
@pytest.mark.parametrize("grey", [0, 128, 255])
def test_flat_images_are_fine(modality_type: ModalityType, name: str, grey: int):
    pixels = np.full((40, 50, 3), grey, dtype=np.uint8)
    for severity in SEVERITIES:
        assert corrupted(pixels, modality_type, name, severity, "L1").shape == (
            40,
            50,
            3,
        )


@every
def test_the_lesion_decides_and_nothing_else(modality_type: ModalityType, name: str):
    pixels = smooth(64, 1)
    kept = pixels.copy()

    def result(key: str) -> Pixels:
        return corrupted(pixels, modality_type, name, 3, key)

    np.testing.assert_array_equal(result("L1"), result("L1"))
    assert (pixels == kept).all()
    if name not in ("blur", "jpeg", "attenuation"):  # nothing is drawn there
        assert len({result(f"L{i}").tobytes() for i in range(12)}) > 1


@pytest.mark.slow
@every
def test_every_severity_is_farther_from_the_image(modality_type: ModalityType, name: str):
    steps = np.zeros(len(SEVERITIES) + 1)
    for seed in range(8):
        grain = np.random.default_rng(seed).integers(-9, 10, (80, 80, 1))
        pixels = (smooth(80, seed) + grain).astype(np.uint8)
        for severity in SEVERITIES:
            result = corrupted(pixels, modality_type, name, severity, f"L{seed}")
            steps[severity] += distance(result, pixels)
    assert (np.diff(steps) > 0).all()


@pytest.mark.slow
@every
def test_a_level_means_the_same_at_every_size(modality_type: ModalityType, name: str):
    moved = {}
    for side in (240, 480):
        moved[side] = np.mean(
            [
                distance(
                    corrupted(pixels, modality_type, name, 4, f"L{seed}"),
                    pixels,
                )
                for seed in range(4)
                for pixels in [smooth(side, seed)]
            ]
        )
    assert moved[480] == pytest.approx(moved[240], rel=0.2)


@pytest.mark.parametrize("name", ["gain", "speckle", "attenuation", "shadow"])
def test_what_has_no_echo_stays_black(name: str):
    pixels = smooth(64, 0)
    pixels[:20] = 0
    for seed in range(5):
        result = corrupted(pixels, "ultrasound", name, 5, f"L{seed}")
        assert not result[:20].any()


def test_grey_ultrasound_stays_grey_but_for_marks():
    pixels = smooth(64, 0)[..., :1].repeat(3, axis=2)
    for name in CORRUPTIONS["ultrasound"]:
        result = corrupted(pixels, "ultrasound", name, 3, "L1").astype(int)
        assert (np.ptp(result, axis=2).max() == 0) == (name != "marks")


def test_hair_and_dressing_only_add():
    pixels = np.full((100, 100, 3), 180, dtype=np.uint8)
    for name in ("hair", "occlusion"):
        changed = [
            (corrupted(pixels, "photo", name, s, "L1") != pixels).any(axis=2) for s in SEVERITIES
        ]
        for less, more in pairwise(changed):
            assert (more | ~less).all()


def test_a_dressing_covers_its_share():
    pixels = np.zeros((200, 300, 3), dtype=np.uint8)
    for severity, share in zip(SEVERITIES, (0.05, 0.1, 0.2, 0.3, 0.45), strict=True):
        covered = corrupted(pixels, "photo", "occlusion", severity, "L")
        assert covered.any(axis=2).mean() == pytest.approx(share, abs=0.01)
