"""Focus and shown cases of a run: masks that follow their images, and those that cannot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agfnet.data.table import Case, read_cases
from agfnet.inference.predictor import Predictor
from agfnet.report.cases import example
from agfnet.robustness.focus import measure_focus

VIEWS = ("clinical", "ultrasound")


@pytest.fixture(scope="module")
def predictor(trained: Path) -> Predictor:
    return Predictor.load(trained)


@pytest.fixture(scope="module")
def cases(cohort: Path) -> tuple[Case, ...]:
    return read_cases(cohort, modalities=VIEWS).cases[:5]


class LogitsOnly:
    """A backend without gradients."""

    def __init__(self, predictor: Predictor) -> None:
        self.logits = predictor.backend.logits


@pytest.mark.slow
def test_measures_of_every_view_with_either_evidence(
    predictor: Predictor, cases: tuple[Case, ...]
) -> None:
    plain = Predictor(bundle=predictor.bundle, backend=LogitsOnly(predictor))
    for one, method in ((predictor, "gradient x input"), (plain, "occlusion")):
        found = measure_focus(one, cases, max_lesions=100, resamples=10)
        assert found is not None
        assert (found["method"], found["n"], found["left_out"]) == (method, 5, [])
        for view in VIEWS:
            scores = found["modalities"][view]
            assert scores["n"] == 5
            masks = [np.asarray(Image.open(case.masks[view][0])) / 255 for case in cases]
            covered = np.mean([mask.mean() for mask in masks])
            assert scores["lesion_area"]["value"] == pytest.approx(covered, abs=0.005)
            assert all(
                0 <= scores[name]["value"] <= 1
                for name in ("relevance_mass_accuracy", "pointing_game")
            )


def test_most_is_kept_and_drawn_by_the_seed(predictor: Predictor, cases: tuple[Case, ...]) -> None:
    first, again = (measure_focus(predictor, cases, max_lesions=2, resamples=5) for _ in range(2))
    assert first == again
    assert first is not None
    assert first["n"] == 2


def test_without_masks_there_is_nothing(predictor: Predictor, cases: tuple[Case, ...]) -> None:
    assert (
        measure_focus(predictor, [replace(case, masks={}) for case in cases], max_lesions=9) is None
    )


@pytest.mark.slow
def test_masks_follow_their_images_and_misfits_are_said(
    predictor: Predictor, cases: tuple[Case, ...], tmp_path: Path
) -> None:
    odd = tmp_path / "odd.png"
    Image.new("L", (64, 20)).save(odd)
    wrong = [replace(cases[0], masks={**cases[0].masks, "clinical": (odd,)}), *cases[1:]]
    config = predictor.bundle.config
    moved = replace(config.modalities["ultrasound"], skin_surface="shift", skin_surface_depth=0.9)
    bundle = replace(
        predictor.bundle,
        config=replace(config, modalities={**config.modalities, "ultrasound": moved}),
    )
    found, plain = (
        measure_focus(
            Predictor(bundle=one, backend=predictor.backend), wrong, max_lesions=9, resamples=5
        )
        for one in (bundle, predictor.bundle)
    )
    assert found is not None
    assert plain is not None
    assert found["modalities"]["clinical"]["n"] == 4
    assert found["modalities"]["ultrasound"]["n"] == 5
    assert found["left_out"] == ["1 masks whose proportions differ from those of their image"]
    # moved to the bottom, most of a lesion leaves the image
    shares = [x["modalities"]["ultrasound"]["lesion_area"]["value"] for x in (found, plain)]
    assert 0 < shares[0] < shares[1]


def test_a_shown_case_has_its_images_and_evidence(
    predictor: Predictor, cases: tuple[Case, ...]
) -> None:
    blind = replace(cases[0], images={**cases[0].images, "ultrasound": ()})
    answers = predictor.predict([blind])
    shown = example(answers, 0, blind, predictor)
    assert set(shown.images) == set(shown.overlays) == {"clinical"}
    assert shown.overlays["clinical"].shape == shown.images["clinical"].shape
    assert (shown.overlays["clinical"] != shown.images["clinical"]).any()
    assert shown.prediction_set is None or shown.predicted in shown.prediction_set
