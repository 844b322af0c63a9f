import numpy as np
import pytest
from scipy.special import softmax

from agfnet.evaluation.evaluate import evaluate
from agfnet.inference.predictions import Predictions
from agfnet.metrics.bootstrap import patient_bootstrap
from agfnet.metrics.calibration import CERTAINTY
from agfnet.metrics.intervals import intervals
from agfnet.metrics.summary import METRICS, accuracy, ece

PARTS = ("brier_reliability", "brier_resolution", "brier_uncertainty")
SHIFTED = ("ece", "ece_equal_mass", "classwise_ece", *PARTS)


def _cohort(rng, patients, sharpness):
    """Three lesions of each patient, which share what the network makes of them."""
    owner = np.repeat(np.arange(patients), 3)
    logits = 2 * (rng.normal(size=(patients, 3))[owner] + rng.normal(size=(len(owner), 3)))
    shares = softmax(logits, axis=1)
    target = (rng.random((len(owner), 1)) > shares.cumsum(axis=1)[:, :2]).sum(axis=1)
    return Predictions(
        classes=("a", "b", "c"),
        lesion_id=tuple(map(str, range(len(owner)))),
        patient_id=tuple(map(str, owner)),
        label=tuple("abc"[c] for c in target),
        probabilities=softmax(sharpness * logits, axis=1),
    )


def test_only_shifted_metrics_are_reflected(table):
    cohort = table(120, per_patient=2)
    plain = patient_bootstrap(cohort, METRICS, resamples=100)
    found = intervals(cohort, METRICS, resamples=100, seed=0)
    assert {name for name in METRICS if found[name] != plain[name]} == {"ece"}
    value, low, high = plain["ece"]
    assert found["ece"].value == value
    assert found["ece"].low == max(0, 2 * value - high)
    assert found["ece"].high == max(value, 2 * value - low)
    assert [name for name in METRICS | CERTAINTY if (METRICS | CERTAINTY)[name].centre] == [
        *SHIFTED
    ]


def test_shifted_intervals_hold_their_value_and_stay_above_0(table):
    for seed in range(5):
        found = evaluate(table(60, seed=seed), resamples=40)
        for name in (*SHIFTED, "ece_debiased"):
            entry = found[name]
            assert 0 <= entry["low"] <= entry["value"] <= entry["high"]


@pytest.mark.parametrize(("name", "metric"), [("ece", ece), ("accuracy", accuracy)])
def test_95_percent_intervals_hold_the_truth_about_95_times_in_100(name, metric):
    rng = np.random.default_rng(0)
    large = _cohort(rng, 60_000, 1.6)
    truth = metric(large.probabilities, large.target)
    held = []
    for trial in range(120):
        found = intervals(_cohort(rng, 120, 1.6), {name: metric}, resamples=120, seed=trial)[name]
        held.append(found.low <= truth <= found.high)
    assert 0.88 <= np.mean(held) <= 0.99
