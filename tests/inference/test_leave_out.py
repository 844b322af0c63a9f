"""Predictions without one of several images of a modality."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agfnet.data.table import read_cases
from agfnet.inference import leave_out
from agfnet.inference.combinations import Decoded
from agfnet.inference.leave_out import without_each
from agfnet.inference.predictor import Predictor
from agfnet.inference.similar import lesion_features

VIEWS = ("clinical", "ultrasound")


@pytest.fixture(scope="module")
def predictor(trained: Path) -> Predictor:
    return Predictor.load(trained)


@pytest.fixture(scope="module")
def images(cohort: Path) -> dict[str, list[Path]]:
    """Three photographs and two scans."""
    cases = read_cases(cohort, modalities=VIEWS)
    photos = [case.images["clinical"][0] for case in cases if case.images["clinical"]]
    scans = [case.images["ultrasound"][0] for case in cases if case.images["ultrasound"]]
    return {"clinical": photos[:3], "ultrasound": scans[:2]}


def test_it_is_as_if_the_image_had_not_been_given(
    predictor: Predictor, images: dict[str, list[Path]]
) -> None:
    results = without_each(predictor, images)
    assert [(r.modality, r.image) for r in results] == [
        (name, path) for name, paths in images.items() for path in paths
    ]
    for name, path, probabilities in results:
        others = {**images, name: [other for other in images[name] if other != path]}
        expected = predictor.diagnose(others).probabilities
        np.testing.assert_allclose(probabilities, expected, atol=1e-5)


def test_each_combination_is_predicted_once(
    predictor: Predictor, images: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    logits_of = predictor.logits_of
    monkeypatch.setattr(predictor, "logits_of", lambda b: rows.append(len(b)) or logits_of(b))
    one_scan = {**images, "ultrasound": images["ultrasound"][:1]}
    assert len(without_each(predictor, one_scan)) == 3
    assert rows == [3]  # those of the prediction itself, in one batch


def test_nothing_is_computed_for_single_images_or_for_very_many(
    predictor: Predictor, images: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictor, "logits_of", None)
    assert without_each(predictor, {name: paths[:1] for name, paths in images.items()}) == []
    monkeypatch.setattr(leave_out, "MAX_COMBINATIONS", 3)
    assert without_each(predictor, images) == []


def test_an_image_is_decoded_once(
    predictor: Predictor, images: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    files: list[Path] = []
    examine = predictor.examine
    monkeypatch.setattr(
        predictor, "examine", lambda item, *rest: files.append(item[1]) or examine(item, *rest)
    )
    decoded: Decoded = {}
    predictor.diagnose(images, decoded=decoded)
    kept = without_each(predictor, images, decoded)
    features = lesion_features(predictor, images, decoded)
    assert sorted(files) == sorted(path for paths in images.values() for path in paths)
    for one, other in zip(kept, without_each(predictor, images), strict=True):
        np.testing.assert_array_equal(one.probabilities, other.probabilities)
    np.testing.assert_array_equal(features, lesion_features(predictor, images))
