"""Sentences of an answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from agfnet.bundle import Bundle, BundleConfig, Calibration, OperatingPoint, Rate
from agfnet.config import ModelConfig, default_modalities
from agfnet.inference.postprocessing import above_threshold
from agfnet.inference.predictor import Diagnosis
from agfnet.inference.wording import group_sentences, percent, whole_percent
from agfnet.metrics.operating_points import halfway_threshold

POINT = OperatingPoint(
    group="malignant",
    members=(True, True, False),
    target_sensitivity=0.95,
    threshold=0.115,
    sensitivity=Rate(0.95, 0.83, 0.99),
    specificity=Rate(0.7, 0.6, 0.79),
    positives=40,
    negatives=90,
)
BUNDLE = Bundle(
    folder=Path(),
    config=BundleConfig(
        classes=("MEL", "BCC", "NV"),
        labels=None,
        modalities=default_modalities(),
        size=32,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        model=ModelConfig(),
        data_hash="none",
    ),
    calibration=Calibration(operating_point=POINT),
    files=(),
)


def diagnosis(*probabilities: float) -> Diagnosis:
    values = np.array(probabilities)
    positive = above_threshold(values[None], POINT)
    assert positive is not None
    return Diagnosis(
        probabilities=values, frames=values[None], images=({},), above_threshold=bool(positive[0])
    )


def test_the_first_line_answers_whether_it_is_malignant() -> None:
    first, threshold, benign = group_sentences(BUNDLE, diagnosis(0.3, 0.4, 0.3))
    assert first == "Malignant 70%: basal cell carcinoma 40%, melanoma 30%."
    assert benign == "Benign 30%: naevus 30%."
    assert threshold == (
        "At or above the threshold of 12% for suspected malignancy, which detected 95% (83% to"
        " 99%) of 40 malignant validation lesions and excluded 70% (60% to 79%) of 90 others."
    )


def test_improbable_classes_are_left_out_but_no_group_is_empty() -> None:
    first, _, benign = group_sentences(BUNDLE, diagnosis(0.996, 0.003, 0.001))
    assert first == "Malignant >99%: melanoma >99%."
    assert benign == "Benign <1%: naevus <1%."


def test_the_number_shown_decides() -> None:
    """A lesion that is shown with 12 % is never below a threshold of 12 %."""
    rng = np.random.default_rng(0)
    for threshold in map(halfway_threshold, rng.uniform(0.006, 1, 40)):
        number = int(whole_percent(threshold).strip("%<>"))
        for p in rng.beta(1, 4, 50):
            shown = percent(p)
            value = 0 if shown == "<1%" else int(shown.strip("%<>"))
            assert (value >= number) == (p >= threshold)


def test_without_an_operating_point_nothing_is_said_of_a_threshold() -> None:
    plain = replace(BUNDLE, calibration=Calibration())
    texts = group_sentences(plain, replace(diagnosis(0.3, 0.4, 0.3), above_threshold=None))
    assert len(texts) == 2
    assert "threshold" not in " ".join(texts)
