"""Sentences of an answer."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agfnet.bundle import Bundle, BundleConfig, Calibration, OperatingPoint, Rate
from agfnet.config import ModelConfig, default_modalities
from agfnet.inference.diagnosis import Diagnosis
from agfnet.inference.percents import percent
from agfnet.inference.postprocessing import above_threshold
from agfnet.inference.wording import (
    group_sentences,
    missing_sentence,
    rate,
    sentence,
    warning_sentences,
    whole_percent,
)
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
        "At or above the threshold of 12% for suspected malignancy; on the validation lesions:"
        " sensitivity 95% (83% to 99%), specificity 70% (60% to 79%)."
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


def test_rates_are_never_rounded_to_certainty() -> None:
    assert rate(Rate(0.999, 0.9, 1.0)) == ">99% (90% to 100%)"
    assert rate(Rate(1.0, None, None)) == "100%"
    assert rate(Rate(None, None, None)) == "an unknown fraction"


def test_a_picture_of_another_kind_gets_no_diagnosis() -> None:
    foreign = replace(
        diagnosis(0.9, 0.05, 0.05),
        distances={"clinical": 3.0, "ultrasound": 1.2},
        out_of_distribution=True,
        abstain=True,
    )
    text = sentence(BUNDLE.config.names, foreign)
    assert text.startswith("No diagnosis")
    assert text.endswith(": Clinical photo.")
    assert "melanoma" not in text
    assert group_sentences(BUNDLE, foreign) == []
    assert warning_sentences(BUNDLE.config.names, foreign) == []


def test_an_unfamiliar_image_is_named_once() -> None:
    unfamiliar = replace(
        diagnosis(0.9, 0.05, 0.05),
        distances={"clinical": 0.4, "ultrasound": 1.2},
        out_of_distribution=True,
        abstain=False,
    )
    texts = warning_sentences(BUNDLE.config.names, unfamiliar)
    assert texts == ["Unlike the training images, so that the result is unreliable: Ultrasound."]


def test_poor_images_are_said_once_for_each_fault() -> None:
    poor = replace(
        diagnosis(0.9, 0.05, 0.05),
        quality={"clinical": ("dark", "blurred"), "ultrasound": ("dark",)},
        abstain=False,
    )
    assert warning_sentences(BUNDLE.config.names, poor) == [
        "Clinical photo, Ultrasound: The image is too dark.",
        "Clinical photo: The image is blurred and shows no detail.",
    ]
    swapped = replace(
        poor, quality={"clinical": ("grey_photo",), "ultrasound": ("colour_ultrasound",)}
    )
    assert warning_sentences(BUNDLE.config.names, swapped) == [
        "The photo and the ultrasound image seem to be swapped."
    ]
    assert warning_sentences(BUNDLE.config.names, replace(poor, distances={"clinical": 2.5})) == []


@pytest.mark.parametrize("abstain", [True, False, None])
@pytest.mark.parametrize("distance", [math.nan, 0.5, 1.5, 2.5])
def test_no_two_sentences_say_the_same(abstain: bool | None, distance: float) -> None:
    answer = replace(
        diagnosis(0.4, 0.35, 0.25),
        distances={"clinical": distance},
        out_of_distribution=distance > 1,
        abstain=abstain,
        prediction_set=np.array([True, True, False]),
    )
    names = BUNDLE.config.names
    texts = [*group_sentences(BUNDLE, answer), sentence(names, answer)]
    texts += warning_sentences(names, answer)
    assert len(set(texts)) == len(texts)
    assert sum("unlike" in text.lower() or "No diagnosis" in text for text in texts) <= 1
    numbers = re.findall(r"melanoma \(?(\d+%)", " ".join(texts))
    assert len(set(numbers)) <= 1  # one number for one thing


def test_a_missing_modality_that_was_never_missing_in_training() -> None:
    assert missing_sentence([], ("clinical",)) == ""
    assert missing_sentence(["ultrasound"], None) == "Not provided: Ultrasound."
    assert missing_sentence(["ultrasound"], ("clinical", "ultrasound")) == (
        "Not provided: Ultrasound."
    )
    assert "not trained to do without" in missing_sentence(["ultrasound"], ())
