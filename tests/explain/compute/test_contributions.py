"""What each modality contributed, against games whose values are known."""

from __future__ import annotations

import numpy as np
import pytest

from agfnet.explain.compute.contributions import contributions, without_region


def game(*weights: float, together: float = 0.0):
    """A network whose answer is the sum of what the views that are there say."""

    def answer(images: list[np.ndarray], present: np.ndarray) -> np.ndarray:
        brightness = np.stack([image.mean(axis=(1, 2, 3)) for image in images], axis=1)
        p = 0.1 + (present * brightness) @ np.array(weights) / 255
        if together:
            p = p + together * present.all(axis=1)
        return np.stack([p, 1 - p], axis=1)

    return answer


def white(count: int) -> list[np.ndarray]:
    return [np.full((1, 4, 4, 3), 255, dtype=np.uint8) for _ in range(count)]


@pytest.mark.parametrize("weights", [(0.3,), (0.3, 0.2), (0.3, 0.2, -0.1)])
def test_views_that_add_up_get_what_they_add(weights: tuple[float, ...]) -> None:
    there = np.ones(len(weights), dtype=bool)
    found = contributions(game(*weights), white(len(weights)), there)
    np.testing.assert_allclose(found.shapley[:, 0], weights)
    np.testing.assert_allclose(found.shapley[:, 1], np.negative(weights))
    assert len(found.answers) == 2 ** len(weights)
    assert found.answers[frozenset()][0] == pytest.approx(0.1)


def test_what_only_views_together_tell_is_shared_and_the_sum_is_the_answer() -> None:
    found = contributions(game(0.2, 0.1, 0.0, together=0.3), white(3), np.ones(3, dtype=bool))
    np.testing.assert_allclose(found.shapley[:, 0], [0.3, 0.2, 0.1])
    whole, none = found.answers[frozenset({0, 1, 2})], found.answers[frozenset()]
    np.testing.assert_allclose(found.shapley.sum(axis=0), whole - none)


def test_a_missing_view_contributes_nothing() -> None:
    found = contributions(game(0.3, 0.2), white(2), np.array([True, False]))
    np.testing.assert_allclose(found.shapley[:, 0], [0.3, 0])
    assert set(found.answers) == {frozenset(), frozenset({0})}


def test_without_a_region() -> None:
    images = white(2)
    images[0][0, :2] = 0
    region = np.zeros((4, 4), dtype=bool)
    region[2:] = True  # the white part takes the mean colour of the whole image
    found = without_region(game(0.4, 0.2), images, np.array([True, True]), {0: region})
    assert found[0] == pytest.approx(0.1 + 0.4 * (128 / 2) / 255 + 0.2)
    assert images[0][0, 2:].min() == 255  # as it was
