from __future__ import annotations

import numpy as np
import pytest

from agfnet.explain.compute.measures import (
    area,
    cells,
    deletion,
    insertion,
    pointing,
    relevance_mass_accuracy,
    scorer,
)

MASK = np.array([[1.0, 0.0], [0.5, 0.0]])


def test_relevance_mass_accuracy_by_hand() -> None:
    assert relevance_mass_accuracy(np.array([[1.0, 1.0], [2.0, 0.0]]), MASK) == pytest.approx(
        (1 + 1) / 4
    )
    assert relevance_mass_accuracy(np.ones((2, 2)), MASK) == pytest.approx(MASK.mean())
    assert relevance_mass_accuracy(np.array([[5.0, 0.0], [0.0, 0.0]]), MASK) == 1
    assert np.isnan(relevance_mass_accuracy(np.zeros((2, 2)), MASK))


def test_pointing_by_hand() -> None:
    assert pointing(np.array([[3.0, 1.0], [2.0, 0.0]]), MASK) == 1
    assert pointing(np.array([[1.0, 3.0], [2.0, 0.0]]), MASK) == 0
    assert pointing(np.array([[3.0, 3.0], [2.0, 0.0]]), MASK) == 0.5  # equals
    assert np.isnan(pointing(np.zeros((2, 2)), MASK))


def test_shapes_must_agree() -> None:
    for measure in (relevance_mass_accuracy, pointing):
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


def test_cells_are_means_even_where_they_differ_in_size() -> None:
    values = np.arange(35.0).reshape(5, 7)
    found = cells(values, 2)
    expected = [
        [values[:2, :3].mean(), values[:2, 3:].mean()],
        [values[2:, :3].mean(), values[2:, 3:].mean()],
    ]
    np.testing.assert_allclose(found, expected)
    np.testing.assert_array_equal(cells(values[:5, :5], 5), values[:5, :5])


def test_a_score_changes_one_image_of_one_case() -> None:
    def logits(images: list[np.ndarray], present: np.ndarray) -> np.ndarray:
        brightness = [part.mean(axis=(1, 2, 3)) for part in images]
        return np.stack([brightness[0], brightness[1] * present[:, 1]], axis=1)

    images = [np.full((2, 4, 4, 3), value, dtype=np.uint8) for value in (1, 2)]
    score = scorer(logits, images, np.array([[True, True], [True, False]]), 1, 0, 0)
    changed = np.stack([np.full((4, 4, 3), value, dtype=np.uint8) for value in (0, 3)])
    np.testing.assert_allclose(score(changed), [0.5, 1 / (1 + np.exp(-3))])
    assert images[0].max() == 1
