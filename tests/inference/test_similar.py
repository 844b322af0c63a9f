"""The most similar training lesions."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agfnet.bundle import SIMILAR, SimilarIndex, read_bundle, read_similar, write_similar
from agfnet.data.table import read_cases
from agfnet.errors import BundleError
from agfnet.evaluation.calibrate import similar_index
from agfnet.inference.predictor import Predictor
from agfnet.inference.similar import lesion_features, similar_lesions

VIEWS = ("clinical", "ultrasound")


def test_the_nearest_come_first() -> None:
    features = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float16)  # their mean is 0
    index = SimilarIndex(features, ("a", "b", "c", "d"), ("L1", "L2", "L3", "L4"))
    found = similar_lesions(np.array([2.0, 1.0]), index, count=3)
    assert [one.lesion_id for one in found] == ["L1", "L2", "L4"]
    assert [one.label for one in found] == ["a", "b", "d"]
    cosines = [2 / 5**0.5, 1 / 5**0.5, -1 / 5**0.5]
    assert [one.distance for one in found] == pytest.approx([1 - c for c in cosines], abs=1e-6)


def test_a_bundle_keeps_the_features_of_training_lesions(
    trained: Path, cohort: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    predictor = Predictor.load(run, backend="torch")
    assert read_similar(predictor.bundle) is None
    cases = read_cases(cohort, modalities=VIEWS).cases
    assert similar_index(predictor, cases, 0) is None
    index = similar_index(predictor, cases, 12)
    assert index is not None
    bundle = write_similar(predictor.bundle, index)
    again = read_similar(bundle)
    assert again is not None
    assert again.lesion_ids == index.lesion_ids
    assert len(again.labels) == 12
    np.testing.assert_array_equal(again.features, index.features)
    known = {case.lesion_id: case for case in cases}
    case = known[again.lesion_ids[3]]
    assert case.label == again.labels[3]
    features = lesion_features(predictor, case.images)
    assert features is not None
    nearest = similar_lesions(features, again)[0]
    assert nearest.lesion_id == case.lesion_id
    assert nearest.distance == pytest.approx(0, abs=1e-2)
    assert SIMILAR not in write_similar(bundle, None).files


def test_a_damaged_index_is_refused(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "bundle", tmp_path / "bundle")
    index = SimilarIndex(np.zeros((2, 3), np.float16), ("a",), ("L1", "L2"))
    bundle = write_similar(read_bundle(tmp_path / "bundle"), index)
    with pytest.raises(BundleError, match="differ in length"):
        read_similar(bundle)
    (bundle.folder / SIMILAR).write_bytes(b"not safetensors")
    with pytest.raises(BundleError, match="damaged"):
        read_similar(replace(bundle))
