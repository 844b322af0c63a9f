"""Operating point of the malignant group."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agfnet.calibration.operating_point import exact_rate, fit_operating_point
from agfnet.inference.predictions import Predictions

GROUPS = {"malignant": ("MEL", "BCC"), "benign": ("NV",)}


def table(count: int = 200, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(3), count)
    labels = ["NV" if p < rng.uniform() else "MEL" for p in probabilities[:, :2].sum(axis=1)]
    return Predictions(
        classes=("MEL", "BCC", "NV"),
        lesion_id=tuple(map(str, range(count))),
        patient_id=tuple(str(i // 2) for i in range(count)),
        label=tuple(labels),
        probabilities=probabilities,
        groups=GROUPS,
    )


def test_threshold_reaches_the_sensitivity() -> None:
    cases = table()
    point = fit_operating_point(cases, sensitivity=0.9)
    assert point is not None
    score = cases.group_probabilities()["malignant"]
    malignant = np.array(cases.label) == "MEL"
    detected = score >= point.threshold
    assert point.sensitivity.value == detected[malignant].mean() >= 0.9
    assert point.specificity.value == (~detected[~malignant]).mean()
    assert point.members == (True, True, False)
    assert (point.positives, point.negatives) == (malignant.sum(), (~malignant).sum())
    higher = score >= point.threshold + 0.01  # the next threshold that can be shown
    assert higher[malignant].mean() < 0.9


def test_no_group_no_operating_point() -> None:
    cases = table()
    assert fit_operating_point(replace(cases, groups={})) is None
    assert fit_operating_point(replace(cases, groups={"malignant": cases.classes})) is None
    assert fit_operating_point(replace(cases, label=("NV",) * len(cases))) is None
    assert fit_operating_point(replace(cases, label=("",) * len(cases))) is None


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [
        (19, 20, 0.7513, 0.9987),
        (20, 20, 0.8316, 1.0),
        (0, 20, 0.0, 0.1684),
        (45, 90, 0.3926, 0.6074),
    ],
)
def test_interval_is_that_of_clopper_and_pearson(
    hits: int, trials: int, low: float, high: float
) -> None:
    correct = np.arange(trials) < hits
    rate = exact_rate(correct, np.arange(trials).astype(str))
    assert rate.value == hits / trials
    assert (rate.low, rate.high) == pytest.approx((low, high), abs=1e-4)


def test_lesions_of_one_patient_do_not_narrow_the_interval() -> None:
    correct = np.tile([True, True, False, True], 10)
    single = exact_rate(correct[:4], np.arange(4).astype(str))
    repeated = exact_rate(correct, np.tile(np.arange(4), 10).astype(str))
    assert (repeated.low, repeated.high) == pytest.approx((single.low, single.high))
    assert exact_rate(correct[:0], np.array([], dtype=str)).value is None
