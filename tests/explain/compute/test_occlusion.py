from __future__ import annotations

import numpy as np

from agfnet.explain.compute.occlusion import occlusion


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
