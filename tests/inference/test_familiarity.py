"""Resemblance of images to the training images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from agfnet.calibration.ood import fit_familiarity, fit_thresholds
from agfnet.inference.familiarity import FOREIGN, image_statistics, relative_distance
from agfnet.inference.predictions import Predictions

SIZE = 48


def lesion(seed: int) -> np.ndarray:
    """A dark ellipse on skin, with texture."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    skin = np.array([205, 160, 140]) + rng.normal(0, 8, 3)
    spot = np.array([110, 70, 60]) + rng.normal(0, 12, 3)
    inside = 1 / (1 + np.exp(20 * (np.hypot(x, y * rng.uniform(0.8, 1.2)) - rng.uniform(0.3, 0.6))))
    image = skin + inside[..., None] * (spot - skin) + rng.normal(0, 4, (SIZE, SIZE, 1))
    return np.clip(image, 0, 255).astype(np.uint8)


def text(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    page = np.full((SIZE, SIZE, 3), 255, np.uint8)
    page[2::4] = np.where(rng.random((len(page[2::4]), SIZE, 1)) < 0.5, 0, 255)
    return page


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)


def grey(seed: int) -> np.ndarray:
    return np.repeat(lesion(seed)[..., :1], 3, axis=-1)


def table(distances: np.ndarray) -> Predictions:
    ids = tuple(map(str, range(len(distances))))
    return Predictions(
        classes=("a", "b"),
        lesion_id=ids,
        patient_id=ids,
        label=("a",) * len(ids),
        probabilities=np.full((len(ids), 2), 0.5),
        distances={"clinical": distances},
    )


@pytest.fixture(scope="module")
def model() -> object:
    fitted = fit_familiarity(
        {"clinical": np.array([image_statistics(lesion(seed)) for seed in range(150)])}
    )
    held = [image_statistics(lesion(seed)) for seed in range(200, 300)]
    distances = np.array([relative_distance(s, fitted["clinical"]) for s in held])
    thresholds = fit_thresholds(fitted, table(distances))
    assert thresholds is not None
    return thresholds["clinical"]


def test_new_lesions_are_familiar(model: object) -> None:
    distances = [relative_distance(image_statistics(lesion(s)), model) for s in range(300, 400)]
    assert np.mean(np.array(distances) > 1) < 0.12
    assert max(distances) < FOREIGN


def test_a_grey_photograph_is_unfamiliar(model: object) -> None:
    distances = [relative_distance(image_statistics(grey(s)), model) for s in range(10)]
    assert min(distances) > 1


@pytest.mark.parametrize("picture", [text, noise])
def test_pictures_of_another_kind_are_foreign(
    model: object, picture: Callable[[int], np.ndarray]
) -> None:
    distances = [relative_distance(image_statistics(picture(s)), model) for s in range(10)]
    assert min(distances) >= FOREIGN


def test_any_image_has_finite_statistics() -> None:
    for shape in ((1, 1, 3), (2, 3, 3), (16, 16, 3)):
        for value in (0, 255):
            assert np.isfinite(image_statistics(np.full(shape, value, np.uint8))).all()


def test_the_rate_is_divided_over_the_modalities() -> None:
    fitted = fit_familiarity({"clinical": np.random.default_rng(0).normal(size=(50, 3))})
    single = fit_thresholds(fitted, table(np.arange(1.0, 201)))
    both = fit_thresholds(fitted | {"other": fitted["clinical"]}, table(np.arange(1.0, 201)))
    assert single is not None
    assert both is not None
    assert single["clinical"].threshold == 191  # the 191st of 201 is 95 %
    assert both["clinical"].threshold == 196
    assert list(both) == ["clinical"]  # without distances no threshold


def test_missing_images_and_few_patients() -> None:
    fitted = fit_familiarity({"clinical": np.random.default_rng(0).normal(size=(50, 3))})
    distances = np.where(np.arange(60) % 2, np.arange(60.0), np.nan)
    few = fit_thresholds(fitted, table(distances))
    assert few is not None
    assert few["clinical"].threshold == 59
    assert fit_thresholds(fitted, table(np.arange(5.0))) is None
    assert fit_familiarity({"clinical": np.ones((5, 3))}) == {}
    none = replace(table(np.arange(5.0)), distances={})
    assert fit_thresholds(fitted, none) is None
