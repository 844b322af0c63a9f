"""A picture of another kind gets no diagnosis, in Python as on the page."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agfnet.api.result import Result, Results
from agfnet.bundle import read_bundle
from agfnet.inference.about import answer_warnings
from agfnet.inference.diagnosis import Diagnosis


def result(distance: float) -> Result:
    return Result(
        classes=("melanoma", "naevus"),
        diagnosis=Diagnosis(
            probabilities=np.array([0.83, 0.17]),
            frames=np.array([[0.83, 0.17]]),
            images=(),
            prediction_set=np.array([True, False]),
            abstain=False,
            out_of_distribution=distance > 1,
            distances={"clinical": distance},
        ),
        images={"clinical": np.zeros((20, 20, 3), np.uint8)},
        contributions={"clinical": 0.2, "ultrasound": 0.1},
        lesion_id="L1",
        groups={"malignant": ("melanoma",)},
    )


@pytest.mark.parametrize("distance", [0.5, 99.0])
def test_no_surface_shows_a_diagnosis_of_a_foreign_picture(distance: float) -> None:
    answer = result(distance)
    foreign = distance > 1
    assert answer.foreign == (("clinical",) if foreign else ())
    for html in (answer._repr_html_(), Results([answer])._repr_html_()):
        text = re.sub(r"<[^>]*>|base64\S+", " ", html)
        assert ("melanoma" in text or "83%" in text) != foreign
        assert ("no diagnosis" in text.lower()) == foreign
    assert ("melanoma" in repr(answer)) != foreign
    assert len(answer.plot().axes) == (1 if foreign else 2)
    assert answer.to_dict()["foreign"] == list(answer.foreign)
    assert Results([answer]).rows()[0]["foreign"] == ("clinical" if foreign else "")


def test_the_warnings_say_that_there_is_no_diagnosis(trained: Path) -> None:
    bundle = read_bundle(trained / "bundle")
    answer = result(99.0)
    texts = answer_warnings(bundle, answer.diagnosis)
    assert [text for text in texts if text.startswith("No diagnosis")] == texts[-1:]
    shown = replace(answer, warnings=tuple(texts))
    assert shown.to_dict()["warnings"] == texts
    assert shown._repr_html_().count("No diagnosis") == 1  # the heading
    near = answer_warnings(bundle, result(0.5).diagnosis)
    assert not any(text.startswith("No diagnosis") for text in near)
