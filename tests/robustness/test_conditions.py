"""How robustness is tried (on the small network) and scored (by hand)."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agfnet.data.table import Case, read_cases
from agfnet.errors import DataError
from agfnet.inference.predictions import Predictions
from agfnet.inference.predictor import Predictor
from agfnet.robustness import conditions as robustness
from agfnet.robustness.conditions import (
    CLEAN,
    Condition,
    complete,
    kept_frames,
    mismatched_case,
    predict_conditions,
)
from agfnet.robustness.corruptions import CORRUPTIONS, SEVERITIES
from agfnet.robustness.scores import mean_corruption_error, score_conditions

VIEWS = ("clinical", "ultrasound")


@pytest.fixture(scope="module")
def predictor(trained: Path) -> Predictor:
    return Predictor.load(trained)


@pytest.fixture(scope="module")
def cases(cohort: Path) -> list[Case]:
    found = complete(read_cases(cohort, modalities=VIEWS).cases, VIEWS)
    several = [case for case in found if len(case.images["ultrasound"]) > 1][:2]
    return several + [case for case in found if case not in several][:3]


@pytest.fixture(scope="module")
def tried(predictor: Predictor, cases: list[Case]) -> dict[Condition, Predictions]:
    return predict_conditions(predictor, cases)


@pytest.mark.slow
def test_every_condition_is_tried(tried: dict[Condition, Predictions]) -> None:
    pixels = {
        Condition(view, name, severity)
        for view, kind in zip(VIEWS, CORRUPTIONS, strict=True)
        for name in CORRUPTIONS[kind]
        for severity in SEVERITIES
    }
    whole = {Condition(view, name, 0) for view in VIEWS for name in ("missing", "mismatched")}
    frames = {Condition("", "frames_lost", severity) for severity in SEVERITIES}
    assert set(tried) == pixels | whole | frames | {CLEAN}
    assert next(iter(tried)) == CLEAN


def test_clean_and_missing_are_what_the_predictor_says(
    tried: dict[Condition, Predictions], predictor: Predictor, cases: list[Case]
) -> None:
    clean = predictor.predict(cases).probabilities
    np.testing.assert_allclose(tried[CLEAN].probabilities, clean, atol=1e-6)
    blind = [replace(case, images={**case.images, "clinical": ()}) for case in cases]
    missing = tried[Condition("clinical", "missing", 0)].probabilities
    np.testing.assert_allclose(missing, predictor.predict(blind).probabilities, atol=1e-6)
    worst = tried[Condition("clinical", "occlusion", 5)].probabilities
    assert np.abs(worst - clean).max() > 1e-4


def test_a_mismatched_image_is_that_of_another_patient(
    tried: dict[Condition, Predictions], predictor: Predictor, cases: list[Case]
) -> None:
    others = [mismatched_case(cases, row, "ultrasound", 0) for row in range(len(cases))]
    assert all(
        other is not None and other.patient_id != case.patient_id
        for case, other in zip(cases, others, strict=True)
    )
    assert others == [mismatched_case(cases, row, "ultrasound", 0) for row in range(len(cases))]
    other = others[3]
    assert other is not None
    assert len(cases[3].images["ultrasound"]) == 1
    swapped = {**cases[3].images, "ultrasound": other.images["ultrasound"][:1]}
    found = tried[Condition("ultrasound", "mismatched", 0)].probabilities[3]
    np.testing.assert_allclose(found, predictor.diagnose(swapped).probabilities, atol=1e-6)


@pytest.mark.slow
def test_each_image_is_decoded_once_and_again_where_it_replaces_another(
    predictor: Predictor, cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    real = robustness.read_for

    def counted(path: Path, **options: Any) -> Any:
        opened.append(path)
        return real(path, **options)

    monkeypatch.setattr(robustness, "read_for", counted)
    predict_conditions(predictor, cases)
    images = sum(len(paths) for case in cases for paths in case.images.values())
    replacements = sum(max(len(p) for p in case.images.values()) for case in cases) * len(VIEWS)
    assert len(set(opened)) == images
    assert len(opened) <= images + replacements


def test_the_batch_changes_nothing(
    tried: dict[Condition, Predictions], predictor: Predictor, cases: list[Case]
) -> None:
    other = Predictor(bundle=predictor.bundle, backend=predictor.backend, batch_size=7, threads=1)
    for condition, answers in predict_conditions(other, cases[:1]).items():
        np.testing.assert_allclose(
            answers.probabilities[0], tried[condition].probabilities[0], atol=1e-5
        )


def test_lesions_of_the_same_patient_never_replace_each_other() -> None:
    patients = ["P1", "P1", "P1", "P1", "P2"]
    lesions = [Case(f"L{i}", name, "a", {}, {}, "", {}, i) for i, name in enumerate(patients)]
    for seed in range(5):
        chosen = [mismatched_case(lesions, row, "clinical", seed) for row in range(4)]
        assert chosen == [lesions[4]] * 4
        assert mismatched_case(lesions, 4, "clinical", seed) in lesions[:4]
    assert mismatched_case(lesions[:4], 0, "clinical", 0) is None


def test_a_single_patient_has_no_mismatched_images(predictor: Predictor, cases: list[Case]) -> None:
    found = predict_conditions(predictor, cases[:1])
    assert not [condition for condition in found if condition.corruption == "mismatched"]


def test_lost_frames_are_nested_and_one_stays() -> None:
    for count in (1, 2, 5, 40):
        kept = [set(kept_frames(count, severity, "L1")) for severity in SEVERITIES]
        assert all(more >= fewer for more, fewer in pairwise(kept))
        assert all(kept)
        assert max(kept[0]) < count
    assert len(kept_frames(40, 3, "L1")) == 16


def test_without_a_complete_lesion_the_user_is_told(cases: list[Case]) -> None:
    unlabelled = [replace(case, label="") for case in cases]
    blind = [replace(case, images={**case.images, "ultrasound": ()}) for case in cases]
    with pytest.raises(DataError, match=r"images of all of clinical, ultrasound"):
        complete(unlabelled + blind, VIEWS)


def answers(right: list[int]) -> Predictions:
    """Four lesions of four patients, of class a; 1 where the answer is right."""
    return Predictions(
        classes=("a", "b"),
        lesion_id=tuple("1234"),
        patient_id=tuple("1234"),
        label=("a",) * 4,
        probabilities=np.array([[0.8, 0.2] if hit else [0.2, 0.8] for hit in right]),
    )


def found(*rows: list[int]) -> dict[Condition, Predictions]:
    """Clean is right in three of four; blur as the rows say, noise always wrong in all."""
    return {
        CLEAN: answers([1, 1, 1, 0]),
        **{Condition("x", "blur", s): answers(row) for s, row in enumerate(rows, start=1)},
        **{Condition("x", "noise", s): answers([0, 0, 0, 0]) for s in SEVERITIES},
        Condition("x", "missing", 0): answers([1, 0, 0, 0]),
    }


RATIOS = ("mean_corruption_error", "relative_mean_corruption_error")
OURS = found([1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0])
THEIRS = found([1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0])


def test_scores_by_hand() -> None:
    scored = score_conditions(OURS, resamples=50)
    assert scored["n"] == 4
    assert scored["clean"]["accuracy"]["value"] == 0.75
    assert "accuracy_drop" not in scored["clean"]
    rows = {(row["corruption"], row["severity"]): row for row in scored["conditions"]}
    assert len(rows) == 11
    assert rows["blur", 4]["accuracy"]["value"] == 0.25
    assert rows["blur", 4]["accuracy_drop"]["value"] == 0.5
    assert rows["missing", 0]["accuracy_drop"]["value"] == 0.5
    nothing = {"value": 0, "low": None, "high": None}  # paired: the answers are the same
    assert rows["blur", 1]["accuracy_drop"] == nothing
    blur = (0.25 + 0.25 + 0.5 + 0.75 + 1) / 5
    means = scored["means"]
    assert means["corruption_error"]["value"] == pytest.approx((blur + 1) / 2)
    increase = means["corruption_error_increase"]
    assert increase["value"] == pytest.approx((blur + 1) / 2 - 0.25)
    assert means["corruption_error_increase/x"] == increase
    assert "mean_corruption_error" not in means


def test_the_score_that_notices_a_change_by_hand() -> None:
    clean = replace(answers([1, 1, 1, 1]), ood_score=np.array([0.0, 1.0, 2.0, 3.0]))
    changed = replace(answers([1, 1, 1, 1]), ood_score=np.array([2.5, 2.5, 2.5, 2.0]))
    scored = score_conditions({**OURS, CLEAN: clean, Condition("x", "blur", 1): changed})
    rows = {(row["corruption"], row["severity"]): row for row in scored["conditions"]}
    assert rows["blur", 1]["detection_auroc"]["value"] == (9 + 2 + 0.5) / 16  # a tie counts half
    assert "detection_auroc" not in rows["blur", 2]  # without a score


def test_mean_corruption_error_by_hand() -> None:
    errors = np.array([[0.1, 0.2, 0.3, 0.4, 0.5], [0.2] * 5])
    reference = np.array([[0.2, 0.2, 0.3, 0.5, 0.8], [0.4] * 5])
    assert mean_corruption_error(errors, reference) == pytest.approx((1.5 / 2 + 1 / 2) / 2)
    assert mean_corruption_error(errors, errors) == pytest.approx(1)
    reference[1] = 0  # the reference never errs there: no ratio
    assert mean_corruption_error(errors, reference) == pytest.approx(1.5 / 2)
    assert np.isnan(mean_corruption_error(errors, 0 * reference))


def test_against_a_reference() -> None:
    reference = score_conditions(THEIRS, resamples=5)
    means = score_conditions(OURS, resamples=50, reference=reference)["means"]
    whole, relative = (means[name] for name in RATIOS)
    assert whole["value"] == pytest.approx((2.75 / 3.5 + 5 / 5) / 2)
    assert relative["value"] == pytest.approx((1.5 / 2.25 + 3.75 / 3.75) / 2)
    assert whole["low"] <= whole["value"] <= whole["high"]
    itself = score_conditions(THEIRS, resamples=5, reference=reference)["means"]
    assert [itself[name]["value"] for name in RATIOS] == pytest.approx([1, 1])


def test_a_reference_that_corruption_does_not_harm_gives_no_ratio() -> None:
    # three thirds and a fifth: the same error rate, of which floating point leaves 1e-16
    rates = np.array([[0.1 + 0.2] * 5, [0.4] * 5])
    assert mean_corruption_error(np.full((2, 5), 0.1), rates - 0.3) == pytest.approx(1)
    assert np.isnan(mean_corruption_error(np.full((1, 5), 0.1), rates[:1] - 0.3))
    unharmed = found(*[[1, 1, 1, 0]] * 5)
    reference = score_conditions(unharmed, resamples=5)
    means = score_conditions(OURS, resamples=5, reference=reference)["means"]
    assert means[RATIOS[1]]["value"] == pytest.approx(3.75 / 3.75)  # noise alone


def test_a_reference_on_other_lesions_is_an_error() -> None:
    reference = score_conditions(THEIRS, resamples=5)
    with pytest.raises(DataError, match="other lesions"):
        score_conditions(OURS, resamples=5, reference=reference | {"lesions": "0"})
    with pytest.raises(DataError, match="none of these corruptions"):
        score_conditions(OURS, resamples=5, reference=reference | {"conditions": []})
