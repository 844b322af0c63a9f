from __future__ import annotations

import numpy as np
import pytest

from agfnet.errors import DataError
from agfnet.evaluation.evidence import occlusion
from agfnet.evaluation.focus import (
    area,
    deletion,
    insertion,
    inside,
    pointing,
    shortcut_drop,
)
from agfnet.inference.predictions import Predictions

MASK = np.array([[1.0, 0.0], [0.5, 0.0]])


def test_share_inside_by_hand() -> None:
    assert inside(np.array([[1.0, 1.0], [2.0, 0.0]]), MASK) == pytest.approx((1 + 1) / 4)
    assert inside(np.ones((2, 2)), MASK) == pytest.approx(MASK.mean())
    assert inside(np.array([[5.0, 0.0], [0.0, 0.0]]), MASK) == 1
    assert np.isnan(inside(np.zeros((2, 2)), MASK))


def test_pointing_by_hand() -> None:
    assert pointing(np.array([[3.0, 1.0], [2.0, 0.0]]), MASK) == 1
    assert pointing(np.array([[1.0, 3.0], [2.0, 0.0]]), MASK) == 0
    assert pointing(np.array([[3.0, 3.0], [2.0, 0.0]]), MASK) == 0.5  # equals
    assert np.isnan(pointing(np.zeros((2, 2)), MASK))


def test_shapes_must_agree() -> None:
    for measure in (inside, pointing):
        with pytest.raises(ValueError, match=r"\(2, 3\)"):
            measure(np.ones((2, 3)), MASK)
    with pytest.raises(ValueError, match="steps"):
        deletion(np.ones((2, 2, 3)), MASK, lambda images: images.mean(axis=(1, 2, 3)), steps=0)


def test_deletion_and_insertion_by_hand() -> None:
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    image[0, 0] = 4  # mean colour 1

    def score(images: np.ndarray) -> np.ndarray:
        return images[:, 0, 0, 0] / 4  # knows that one pixel alone

    good = np.array([[3.0, 2.0], [1.0, 0.0]])
    bad = -good + 3
    np.testing.assert_allclose(deletion(image, good, score, steps=4), [1, 0.25, 0.25, 0.25, 0.25])
    np.testing.assert_allclose(deletion(image, bad, score, steps=4), [1, 1, 1, 1, 0.25])
    np.testing.assert_allclose(insertion(image, good, score, steps=4), [0.25, 1, 1, 1, 1])
    np.testing.assert_allclose(insertion(image, bad, score, steps=4), [0.25, 0.25, 0.25, 0.25, 1])
    assert area(deletion(image, good, score, steps=4)) == pytest.approx((0.625 + 3 * 0.25) / 4)
    assert image.sum() == 12  # as it was


def test_more_steps_than_pixels() -> None:
    curve = deletion(np.ones((1, 1, 3)), np.ones((1, 1)), lambda x: x.mean(axis=(1, 2, 3)), steps=5)
    assert curve.shape == (6,)


def table(right: list[bool], ids: str = "1234") -> Predictions:
    return Predictions(
        classes=("a", "b"),
        lesion_id=tuple(ids),
        patient_id=tuple(ids),
        label=("a",) * 4,
        probabilities=np.array([[0.9, 0.1] if hit else [0.1, 0.9] for hit in right]),
    )


def test_accuracy_lost_with_the_shortcut_flipped() -> None:
    plain, flipped = table([True, True, True, False]), table([True, False, False, False])
    found = shortcut_drop(plain, flipped, resamples=100)
    assert found.value == 0.5
    assert found.low <= 0.5 <= found.high
    with pytest.raises(DataError, match="in one table only"):
        shortcut_drop(plain, table([True] * 4, ids="1235"), resamples=10)


def brightness(images: list[np.ndarray], present: np.ndarray) -> np.ndarray:
    """Class 1 is the brightness of the upper left quarter of the first view, where it is there."""
    shown = images[0][:, :7, :7].mean(axis=(1, 2, 3)) * present[:, 0]
    return np.stack([np.zeros(len(shown)), shown], axis=1)


def test_occlusion_finds_what_the_answer_rests_on() -> None:
    images = [np.zeros((2, 14, 21, 3), dtype=np.uint8) for _ in range(2)]
    for image in images:
        image[:, :7, :7] = 8
    present = np.array([[True, True], [False, True]])
    first, second = occlusion(brightness, images, present, np.array([1, 1]), cells=2)
    assert first.shape == (2, 14, 21)
    assert first[0].argmax() == 0
    assert first[0, 0, 0] > 0
    assert first[0, -1, -1] == 0
    assert not first[1].any()  # that view is missing
    assert not second.any()  # and this one is not read
    assert images[0][0, 0, 0, 0] == 8  # as it was
    against = occlusion(brightness, images, present, np.array([0, 0]), cells=2)
    assert not against[0].any()  # what speaks against a class is no evidence for it
